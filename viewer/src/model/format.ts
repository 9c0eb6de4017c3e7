/** Formats durations, times and numbers as people read them. */

/** Formats a duration in nanoseconds by the rules of the terminal views. */
export function duration(nanoseconds: number): string {
  if (!Number.isFinite(nanoseconds)) return "–";
  if (nanoseconds < 0) return `-${duration(-nanoseconds)}`;
  // From 999.5 ms on, three digits would say 1000 ms; from 59.95 s on, 60.0 s.
  if (nanoseconds < 999_500_000) return `${threeDigits(nanoseconds / 1e6)} ms`;
  const seconds = nanoseconds / 1e9;
  if (seconds < 59.95) return `${threeDigits(seconds)} s`;
  const whole = Math.floor(Math.max(seconds, 60));
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${two(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

function threeDigits(value: number): string {
  const texts = [2, 1, 0].map((places) => value.toFixed(places));
  return texts.find((text) => text.length <= 4) ?? value.toFixed(0);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Formats an offset on the time axis, in the unit that the distance of the ticks asks for. */
export function axisTime(nanoseconds: number, step: number): string {
  if (nanoseconds === 0) return "0";
  if (step >= 60e9) return duration(nanoseconds);
  const [unit, size] =
    step >= 1e9 ? ["s", 1e9] : step >= 1e6 ? ["ms", 1e6] : step >= 1e3 ? ["µs", 1e3] : ["ns", 1];
  const places = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
  return `${(nanoseconds / size).toFixed(Math.min(places, 3))} ${unit}`;
}

/**
 * Formats times on the axis of a window that is short beside how far it is from the start: the first
 * one in full, each other one by how much later it is.
 */
export function axisTimes(times: readonly number[], zero: number, step: number): string[] {
  const [first = zero] = times;
  const isFar = Math.abs(first - zero) >= step * 1000;
  if (!isFar) return times.map((time) => axisTime(time - zero, step));
  return times.map((time, at) =>
    at === 0 ? exactDuration(first - zero, step) : `+${axisTime(time - first, step)}`,
  );
}

/** Formats a time in the largest unit that fits, down to the distance of the ticks. */
function exactDuration(nanoseconds: number, step: number): string {
  const sign = nanoseconds < 0 ? "-" : "";
  const whole = Math.abs(nanoseconds);
  if (whole >= 60e9 && step >= 1e9) return sign + duration(whole);
  const [unit, size] =
    whole >= 1e9 ? ["s", 1e9] : whole >= 1e6 ? ["ms", 1e6] : whole >= 1e3 ? ["µs", 1e3] : ["ns", 1];
  const places = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
  return `${sign}${(whole / size).toFixed(Math.min(places, 9))} ${unit}`;
}

/** Returns the minutes of an offset such as `+02:00`; 0 if it is not one. */
export function zoneMinutes(zone: string): number {
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (!match) return 0;
  return (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

/** Formats a time of day in the zone of the host: `10:32:07.123`; dashes beyond the calendar. */
export function timeOfDay(baseNs: bigint, relative: number, zone: string): string {
  return stamp(baseNs, relative, zone)?.slice(11, 23) ?? "--:--:--.---";
}

/** Formats date, time and zone. */
export function dateTime(baseNs: bigint, relative: number, zone: string): string {
  const text = stamp(baseNs, relative, zone);
  return text ? `${text.slice(0, 10)} ${text.slice(11, 23)} ${zone}` : "-";
}

function stamp(baseNs: bigint, relative: number, zone: string): string | null {
  if (!Number.isFinite(relative)) return null;
  const ns = baseNs + BigInt(Math.round(relative));
  const ms = Number(ns / 1_000_000n) + zoneMinutes(zone) * 60_000;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) || ms < 0 || ms > 253_402_300_799_000
    ? null
    : date.toISOString();
}

/** Formats a whole number with commas. */
export function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Formats a number of bytes, as the terminal does. */
export function bytes(count: number): string {
  if (count < 1024) return `${count} bytes`;
  const power = Math.min(Math.floor(Math.log2(count) / 10), 4);
  return `${(count / 1024 ** power).toFixed(1)} ${" KMGT"[power]}iB`;
}

/** Formats a number of things, whose plural ends in `s`. */
export function countOf(value: number, noun: string, plural = `${noun}s`): string {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

/** Returns a text as one word of a shell. */
export function shellQuoted(text: string): string {
  return /^[\w./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Cuts a text in the middle, so that its beginning and its end stay. */
export function middleCut(text: string, most: number): string {
  const letters =
    text.length > most * 4 ? [...text.slice(0, most), "…", ...text.slice(-most)] : [...text];
  if (letters.length <= most) return letters.join("");
  const head = Math.ceil((most - 1) * 0.6);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (most - 1 - head)).join("")}`;
}

/**
 * Replaces characters that are invisible or turn the direction of the text by visible ones,
 * so that a name cannot pass for another.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code === 10) return "⏎";
    if (code === 9) return " ";
    if (code === 0x200d || code === 0xad) return ""; // joins emoji; soft hyphen
    return code < 32 ? String.fromCodePoint(0x2400 + code) : "�";
  });
}
