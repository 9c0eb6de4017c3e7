/** Checks of what a server answers: a shape returns the value in its type, or says what is wrong. */

import { DataError } from "../data/checks";
import type { Attributes } from "../data/contract";

/** Returns the value if it has the shape; throws a `DataError` that names the place. */
export type Shape<T> = (value: unknown, where: string) => T;

/** The type of what a shape accepts. */
export type Of<S> = S extends Shape<infer T> ? T : never;

type Fields = { [name: string]: Shape<unknown> };

export const text: Shape<string> = (value, where) => {
  if (typeof value !== "string") throw wrong(where, "not a text");
  return value;
};

export const number: Shape<number> = (value, where) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(where, "not a number");
  return value;
};

/** A whole number from 0 on. */
export const count: Shape<number> = (value, where) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(where, "not a count");
  return value as number;
};

export const flag: Shape<boolean> = (value, where) => {
  if (typeof value !== "boolean") throw wrong(where, "neither true nor false");
  return value;
};

/** Nanoseconds since the epoch, as text because a number cannot hold them. */
export const instant: Shape<bigint> = (value, where) => {
  if (typeof value !== "string" || !/^-?\d{1,30}$/.test(value)) throw wrong(where, "not a time");
  return BigInt(value);
};

export const traceId: Shape<string> = (value, where) => {
  if (typeof value !== "string" || !isTraceId(value)) throw wrong(where, "not a trace id");
  return value;
};

/** Whether a text may stand in the address of a trace. */
export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** Attributes, or anything else that is an object. */
export const attributes: Shape<Attributes> = (value, where) => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(where, "not an object");
  return value as Attributes;
};

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, where) => (value === null || value === undefined ? null : shape(value, where));
}

/** Takes a fallback where the value is not there. */
export function optional<T>(shape: Shape<T>, fallback: T): Shape<T> {
  return (value, where) => (value === null || value === undefined ? fallback : shape(value, where));
}

export function listOf<T>(shape: Shape<T>): Shape<T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw wrong(where, "not a list");
    return value.map((one, at) => shape(one, `${where}[${at}]`));
  };
}

/** One of some words; a word that a newer server may know becomes the fallback. */
export function choice<const W extends string>(words: readonly W[], fallback: W): Shape<W> {
  return (value, where) => {
    const word = text(value, where) as W;
    return words.includes(word) ? word : fallback;
  };
}

/** An object with these fields; others are dropped. */
export function object<F extends Fields>(fields: F): Shape<{ [name in keyof F]: Of<F[name]> }> {
  const entries = Object.entries(fields);
  return (value, where) => {
    if (typeof value !== "object" || value === null) throw wrong(where, "not an object");
    const given = value as { [name: string]: unknown };
    const made: { [name: string]: unknown } = {};
    for (const [name, shape] of entries) {
      made[name] = shape(Object.hasOwn(given, name) ? given[name] : undefined, `${where}.${name}`);
    }
    return made as { [name in keyof F]: Of<F[name]> };
  };
}

export function wrong(where: string, what: string): DataError {
  return new DataError(`${where} is ${what}`);
}
