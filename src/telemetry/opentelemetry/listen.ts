interface Subscribable {
  subscribe(listener: (message: unknown) => void): void;
  unsubscribe(listener: (message: unknown) => void): unknown;
}

/** Listens to a channel. Returns the function that ends it. */
export function listen<M>(channel: Subscribable, listener: (message: M) => void): () => void {
  const heard = listener as (message: unknown) => void;
  channel.subscribe(heard);
  return () => void channel.unsubscribe(heard);
}
