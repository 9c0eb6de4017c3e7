/** Sorting a table by one of its columns. */

import type { OperationNow } from "../../live/contract";

export interface OperationColumn {
  title: string;
  key: string;
  value: (one: OperationNow) => number | string;
}

export const OPERATION_COLUMNS: readonly OperationColumn[] = [
  { title: "Operation", key: "name", value: (one) => `${one.service} ${one.name}` },
  { title: "Calls", key: "count", value: (one) => one.count },
  { title: "Errors", key: "errors", value: (one) => one.errors },
  { title: "Open", key: "open", value: (one) => one.open },
  { title: "p50", key: "p50", value: (one) => one.p50_ns ?? -1 },
  { title: "p95", key: "p95", value: (one) => one.p95_ns ?? -1 },
  { title: "p99", key: "p99", value: (one) => one.p99_ns ?? -1 },
  { title: "Longest", key: "max", value: (one) => one.max_ns ?? -1 },
  { title: "Total", key: "total", value: (one) => one.total_ns },
];

export interface TableSort {
  key: string;
  down: boolean;
}

/** Reads a sort such as `-p95` from an address; the largest totals come first by default. */
export function sortOf(text = ""): TableSort {
  const key = text.replace(/^-/, "");
  const isKnown = OPERATION_COLUMNS.some((column) => column.key === key);
  return isKnown ? { key, down: text.startsWith("-") } : { key: "total", down: true };
}

/** Returns the sort after a click on a column: the other way round, or figures the largest first. */
export function clicked(sort: TableSort, key: string): string {
  const down = sort.key === key ? !sort.down : key !== "name";
  return `${down ? "-" : ""}${key}`;
}

export function sortedOperations(
  all: readonly OperationNow[],
  { key, down }: TableSort,
  search: string,
): OperationNow[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const value = OPERATION_COLUMNS.find((column) => column.key === key)?.value ?? (() => 0);
  const sign = down ? -1 : 1;
  return all
    .filter(({ service, name }) => {
      const text = `${service} ${name}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      return sign * (Number(a > b) - Number(a < b)) || Number(one.name > other.name) - 0.5;
    });
}
