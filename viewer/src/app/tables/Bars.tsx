/** A small histogram of durations, as one path. */

import type { OperationNow } from "../../live/contract";
import { countOf, duration } from "../../model/format";

const WIDTH = 120;
const HEIGHT = 16;

export function Bars({ buckets }: Pick<OperationNow, "buckets">) {
  const used = trimmed(buckets);
  const most = used.reduce((all, [, count]) => Math.max(all, count), 1);
  const width = Math.min(12, WIDTH / Math.max(used.length, 1));
  const path = used
    .map(([, count], at) => {
      const height = count === 0 ? 0 : Math.max(1, (count / most) * HEIGHT);
      return `M${at * width},${HEIGHT}v${-height}h${Math.max(width - 1, 0.5)}v${height}z`;
    })
    .join("");
  const words = used
    .filter(([, count]) => count > 0)
    .map(([upper, count]) => `up to ${duration(upper)}: ${count}`);
  const total = used.reduce((sum, [, count]) => sum + count, 0);
  return (
    <svg
      class="bars"
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`Durations of ${countOf(total, "span")}`}
    >
      <title>{words.join("\n")}</title>
      <path d={path} />
    </svg>
  );
}

/** Leaves out empty buckets at both ends. */
function trimmed(buckets: [number, number][]): [number, number][] {
  const first = buckets.findIndex(([, count]) => count > 0);
  if (first < 0) return [];
  let last = buckets.length;
  while ((buckets[last - 1]?.[1] ?? 0) === 0) last -= 1;
  return buckets.slice(first, last);
}
