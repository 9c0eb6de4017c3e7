/** Times of day and ages, from the server's nanoseconds since the epoch. */

const MS = 1_000_000n;

/** Formats a time of day in the zone of the browser: `12:01:52`. */
export function clockTime(ns: bigint): string {
  const date = dateOf(ns);
  return date ? `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}` : "–";
}

/** Formats a time of day with milliseconds. */
export function exactTime(ns: bigint): string {
  const date = dateOf(ns);
  return date ? `${clockTime(ns)}.${String(date.getMilliseconds()).padStart(3, "0")}` : "–";
}

/** Formats date and time, with the offset of the browser's zone. */
export function fullTime(ns: bigint): string {
  const date = dateOf(ns);
  if (!date) return "–";
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${exactTime(ns)} ${zoneOf(date)}`;
}

/** Formats a time of day, with the day if that is another one than that of `now`. */
export function timeBeside(ns: bigint, now: bigint): string {
  const [date, today] = [dateOf(ns), now > 0n ? dateOf(now) : new Date()];
  if (!date) return "–";
  const isToday = today !== null && date.toDateString() === today.toDateString();
  return isToday
    ? exactTime(ns)
    : `${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(ns)}`;
}

/** Returns the offset of the browser's zone, such as `+02:00`. */
function zoneOf(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function dateOf(ns: bigint): Date | null {
  const date = new Date(Number(ns / MS));
  return Number.isNaN(date.getTime()) ? null : date;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
