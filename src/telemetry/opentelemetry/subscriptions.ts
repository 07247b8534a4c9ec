import type { Meter } from "@opentelemetry/api";
import { type GapMessage, gapChannel, messageChannel, type SubscribedMessage } from "../channels.ts";
import { gapAttributes, messageAttributes } from "./attributes.ts";
import { listen } from "./listen.ts";

/** The conventions know no gaps. Most last for less than a second, or as long as an outage. */
const GAP_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Measures what subscriptions hear and miss. Returns the functions that end it. */
export function measureSubscriptions(meter: Meter): (() => void)[] {
  const messages = meter.createCounter("messaging.client.consumed.messages", {
    description: "Number of messages that were delivered to the application.",
    unit: "{message}",
  });
  const gaps = meter.createCounter("slotwire.subscription.gaps", {
    description: "Number of gaps that began, in which messages may have been missed.",
    unit: "{gap}",
  });
  const durations = meter.createHistogram("slotwire.subscription.gap.duration", {
    description: "Duration of gaps that ended.",
    unit: "s",
    advice: { explicitBucketBoundaries: GAP_SECONDS },
  });
  const onMessage = (message: SubscribedMessage) => messages.add(1, messageAttributes(message));
  const onGap = (gap: GapMessage) => {
    const { topics, from, to } = gap;
    const attributes = gapAttributes(gap);
    if (to === null) gaps.add(topics.length, attributes);
    else for (const _ of topics) durations.record((to - from) / 1000, attributes);
  };
  return [listen(messageChannel, onMessage), listen(gapChannel, onGap)];
}
