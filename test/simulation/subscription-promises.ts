import { type Heard, type HistoryEvent, heardIn } from "./subscription-history.ts";

/*
 * What subscriptions promise, compared with what happened. Pure: histories can be written by hand.
 */

/** Beside the times in which messages really could not come, each fault may cost so much. */
const GRACE_MS = 3000;
/** The reason of a gap that an iteration which is too slow has made itself. */
const OVERFLOW = "overflow";
/** A client that hears nothing notices by then. Whoever closes a subscription earlier is told of nothing. */
const NOTICED_MS = 4500;
/** What a server says unasked is told as a gap within this time. */
const TOLD_WITHIN_MS = 10;

/** What the history was made with. */
export interface Circumstances {
  /** A message is with the client by then, if nothing is wrong. */
  readonly onTheWayMs: number;
  /** How long the client was busy with something else, all in all. */
  readonly stalledMs: number;
  /** What a connection and a subscription may take; undefined where servers were busy with something else. */
  readonly slackMs?: number | undefined;
}

/** The promises that were broken, in words. */
export function brokenSubscriptions(history: readonly HistoryEvent[], circumstances: Circumstances): string[] {
  const heard = heardIn(history);
  const numbers = numbersOf(history);
  const faults = history.flatMap((event) => (event.what === "fault" ? [event] : []));
  const allowedMs = faults.reduce((sum, { at, until }) => sum + until - at + GRACE_MS, circumstances.stalledMs);
  const { onTheWayMs, stalledMs } = circumstances;
  const settledAt = history.find(({ what }) => what === "settled")?.at ?? Number.POSITIVE_INFINITY;
  const owedUntil = ({ until }: Heard) => {
    return until - stalledMs - (until > settledAt || faults.length === 0 ? onTheWayMs : NOTICED_MS);
  };
  return [
    ...heard.flatMap((each) => [
      ...lostSilently(each, numbers, owedUntil(each), circumstances),
      ...brokenOrder(each),
      ...brokenGaps(each),
      ...tooLong(each, allowedMs, faults.length),
    ]),
    ...heardTooLate(heard, history, circumstances),
    ...notSettled(heard, history),
    ...untold(heard, history, circumstances),
    ...aheadOfEnd(heard, history),
  ];
}

interface Numbers {
  readonly published: ReadonlyMap<string, readonly { readonly number: number; readonly at: number }[]>;
  readonly unheard: ReadonlySet<string>;
}

function numbersOf(history: readonly HistoryEvent[]): Numbers {
  const published = new Map<string, { number: number; at: number }[]>();
  const unheard = new Set<string>();
  for (const event of history) {
    if (event.what === "unheard") unheard.add(`${event.channel} ${event.number}`);
    if (event.what !== "published") continue;
    const all = published.get(event.channel) ?? [];
    published.set(event.channel, all);
    all.push(event);
  }
  return { published, unheard };
}

function nameOf({ subscription, topic }: Heard): string {
  return `subscription ${subscription}, ${topic.kind} ${topic.name}`;
}

/** A gap from its beginning to its end; one that is open has no end. */
interface Span {
  readonly reason: string;
  readonly from: number;
  readonly to: number;
  readonly endToldAs: number;
}

function spansOf({ gaps }: Heard): Span[] {
  const spans: Span[] = [];
  for (const { from, to, reason, position } of gaps) {
    const open = spans.findLastIndex((span) => span.reason === reason && span.to === Number.POSITIVE_INFINITY);
    if (to === null) spans.push({ reason, from, to: Number.POSITIVE_INFINITY, endToldAs: Number.POSITIVE_INFINITY });
    else if (open !== -1) spans[open] = { reason, from, to, endToldAs: position };
  }
  return spans;
}

/** Every number that is missing lies in a gap. */
function lostSilently(
  heard: Heard,
  { published, unheard }: Numbers,
  until: number,
  { onTheWayMs, stalledMs }: Circumstances,
): string[] {
  // What an iteration dropped has the times at which the client read it.
  const spans = spansOf(heard).map((span) =>
    span.reason === OVERFLOW ? { ...span, from: span.from - onTheWayMs - stalledMs } : span,
  );
  return heard.topic.channels.flatMap((channel) => {
    const came = new Set(heard.delivered.flatMap((each) => (each.channel === channel ? [each.number] : [])));
    return (published.get(channel) ?? []).flatMap(({ number, at }) => {
      const isOwed = at > heard.from && at < until;
      if (!isOwed || came.has(number) || unheard.has(`${channel} ${number}`)) return [];
      if (spans.some(({ from, to }) => from <= at && at <= to)) return [];
      return [`${nameOf(heard)}: ${channel} ${number} of ${at.toFixed(1)} was lost outside every gap`];
    });
  });
}

/** From one node nothing comes twice, and what it sent first comes first. */
function brokenOrder(heard: Heard): string[] {
  const broken: string[] = [];
  const last = new Map<number, number>();
  const seen = new Set<string>();
  for (const { channel, number, from } of heard.delivered) {
    const key = `${channel} ${number}${from === undefined ? "" : ` of node ${from.node}`}`;
    if (seen.has(key)) broken.push(`${nameOf(heard)}: ${key} came twice`);
    seen.add(key);
    if (from === undefined) continue;
    if ((last.get(from.node) ?? -1) > from.order) broken.push(`${nameOf(heard)}: ${key} came out of order`);
    last.set(from.node, from.order);
  }
  return broken;
}

/** A gap is told when it begins, and once more with its end, before the first message after it. */
function brokenGaps(heard: Heard): string[] {
  const broken: string[] = [];
  const open = new Map<boolean, Heard["gaps"][number]>();
  for (const gap of heard.gaps) {
    const { from, to, at, reason } = gap;
    const times = `${from} to ${to}, ${reason}`;
    // An iteration can be too slow also in a gap.
    const before = open.get(reason === OVERFLOW);
    if (from > at + 1) broken.push(`${nameOf(heard)}: a gap begins after it was told: ${times}`);
    if (to === null) {
      if (before !== undefined) broken.push(`${nameOf(heard)}: a gap begins in a gap: ${times}`);
      open.set(reason === OVERFLOW, gap);
      continue;
    }
    open.delete(reason === OVERFLOW);
    if (before === undefined) broken.push(`${nameOf(heard)}: a gap ends that was not open: ${times}`);
    else if (before.from !== from || before.reason !== reason) {
      broken.push(`${nameOf(heard)}: a gap ends as another one: ${times}`);
    }
    if (to < from || to > at + 1) broken.push(`${nameOf(heard)}: a gap ends at a wrong time: ${times}`);
  }
  return broken;
}

/** All gaps together last no longer than what has caused them, and without a cause there is none. */
function tooLong(heard: Heard, allowedMs: number, faults: number): string[] {
  const spans = spansOf(heard).filter(({ reason }) => reason !== OVERFLOW);
  if (faults === 0 && spans.length > 0) {
    return [`${nameOf(heard)}: a gap of ${heard.gaps[0]?.reason}, and nothing had gone wrong`];
  }
  const sum = spans.reduce((total, { from, to }) => total + Math.min(to, heard.until) - from, 0);
  return sum > allowedMs ? [`${nameOf(heard)}: gaps of ${sum} ms, where ${allowedMs} are allowed`] : [];
}

/** After a single fault, topics are heard again within its time. */
function heardTooLate(heard: readonly Heard[], history: readonly HistoryEvent[], { slackMs }: Circumstances): string[] {
  const [fault, ...others] = history.flatMap((event) => (event.what === "fault" ? [event] : []));
  if (slackMs === undefined || fault?.heardWithin === undefined || others.length > 0) return [];
  const { ms, of } = fault.heardWithin;
  return heard.flatMap((each) => {
    if (each.isSlow) return [];
    const news = history.flatMap((event) =>
      event.what === "news" && event.topic === each.topic.name ? [event.at] : [],
    );
    const times = of === "fault" ? [fault.at] : news;
    const latest = Math.max(...times) + ms + slackMs;
    return spansOf(each).flatMap(({ to, reason }) =>
      reason !== OVERFLOW && times.length > 0 && Math.min(to, each.until) > latest
        ? [`${nameOf(each)}: heard again at ${to.toFixed(1)}, and ${latest.toFixed(1)} is promised`]
        : [],
    );
  });
}

/** When all is mended, no gap is open. */
function notSettled(heard: readonly Heard[], history: readonly HistoryEvent[]): string[] {
  const settled = history.find(({ what }) => what === "settled");
  if (settled === undefined) return [];
  return heard.flatMap((each) => {
    const isOpen = each.until >= settled.at && spansOf(each).some(({ to }) => to > settled.at);
    return isOpen ? [`${nameOf(each)}: still in a gap when all was mended`] : [];
  });
}

/** What a server says unasked is told at once. */
function untold(heard: readonly Heard[], history: readonly HistoryEvent[], { stalledMs }: Circumstances): string[] {
  return history.flatMap((event) => {
    if (event.what !== "news") return [];
    return heard.flatMap((each) => {
      const { topic, from, until } = each;
      if (topic.name !== event.topic || topic.kind !== "shard" || each.isSlow || event.at <= from || event.at >= until)
        return [];
      const latest = event.at + TOLD_WITHIN_MS + stalledMs;
      // Behind an earlier gap, the client had left the node that speaks.
      const isTold = each.gaps.some(({ at }) => at <= latest && at > event.at - GRACE_MS);
      const isOpen = each.gaps.filter(({ at }) => at <= latest).at(-1)?.to === null;
      return isTold || isOpen
        ? []
        : [`${nameOf(each)}: ended by its server at ${event.at.toFixed(1)}, and no gap was told`];
    });
  });
}

/** Messages after a gap come after its end was told. */
function aheadOfEnd(all: readonly Heard[], history: readonly HistoryEvent[]): string[] {
  const at = new Map<string, number>();
  for (const event of history) if (event.what === "published") at.set(`${event.channel} ${event.number}`, event.at);
  return all.flatMap((heard) =>
    spansOf(heard).flatMap(({ to, endToldAs }) =>
      heard.delivered.flatMap(({ position, channel, number }) =>
        position < endToldAs && (at.get(`${channel} ${number}`) ?? 0) > to
          ? [`${nameOf(heard)}: ${channel} ${number} is behind a gap, and came before its end was told`]
          : [],
      ),
    ),
  );
}
