/** The live tail of logs: the newest below, older ones on the way up. */

import { signal } from "@preact/signals";
import { asApiError, type Client } from "../../live/client";
import { type LogList, type LogNow, logs } from "../../live/contract";
import { LEVELS, rankOf } from "../../model/levels";
import { Loading } from "../loading";
import type { Query } from "../route";

const PAGE = 200;
/** How many logs are kept; the oldest go first. */
const MOST_KEPT = 20_000;

export interface LogChoice {
  q: string;
  level: string;
  trace: string;
}

export function logChoiceOf({ q = "", level = "", trace = "" }: Query): LogChoice {
  return { q, level, trace };
}

export class LogsModel {
  /** The oldest first. */
  readonly logs = signal<LogNow[]>([]);
  readonly next = signal<string | null>(null);
  readonly hasLoaded = signal(false);
  private readonly loading = new Loading();
  readonly isLoading = this.loading.isLoading;
  readonly problem = this.loading.problem;
  readonly chosen = signal("");
  /** Whether the newest stay in sight. */
  readonly isFollowing = signal(true);
  /** How many came while the reader looks at older ones. */
  readonly unseen = signal(0);
  private choice: LogChoice = { q: "", level: "", trace: "" };
  private known = new Set<string>();
  /** Whether logs are missing between those shown, until the reader follows the newest again. */
  private hasGap = false;

  constructor(private readonly client: Client) {}

  async show(choice: LogChoice): Promise<void> {
    const isSame = JSON.stringify(choice) === JSON.stringify(this.choice);
    if (isSame && this.hasLoaded.peek()) return this.refresh();
    this.choice = choice;
    this.known = new Set();
    await this.load("");
    const error = this.problem.peek();
    if (error && error.status !== 400 && !isSame) this.logs.value = [];
  }

  /** Loads older logs. */
  async older(): Promise<void> {
    const cursor = this.next.peek();
    if (cursor && !this.isLoading.peek()) await this.load(cursor);
  }

  /** Takes new logs of the stream, as far as they are of the choice; there may be more of them. */
  take(arrived: LogNow[], more = false): void {
    this.hasGap ||= more;
    this.add(arrived);
    this.closeGap();
  }

  private add(arrived: LogNow[]): void {
    const { level, trace } = this.choice;
    const least = LEVELS.indexOf(level as (typeof LEVELS)[number]);
    const added = arrived.filter((log) => {
      const isWanted = (!trace || log.trace_id === trace) && rankOf(log.level) >= least;
      if (!isWanted || this.known.has(log.id)) return false;
      this.known.add(log.id);
      return true;
    });
    if (added.length === 0) return;
    added.sort((one, other) => Number(one.time_ns - other.time_ns));
    const last = this.logs.peek().at(-1);
    const all = [...this.logs.peek(), ...added];
    if (last && (added[0]?.time_ns ?? 0n) < last.time_ns)
      all.sort((one, other) => Number(one.time_ns - other.time_ns));
    // While the reader looks at older ones, none of them may go.
    this.logs.value = this.isFollowing.peek() ? all.slice(-MOST_KEPT) : all;
    if (this.known.size > 2 * this.logs.peek().length + MOST_KEPT)
      this.known = new Set(this.logs.peek().map((log) => log.id));
    if (!this.isFollowing.peek()) this.unseen.value += added.length;
  }

  follow(isFollowing: boolean): void {
    this.isFollowing.value = isFollowing;
    if (!isFollowing) return;
    this.unseen.value = 0;
    this.closeGap();
  }

  /** Shows the newest page alone if logs are missing, unless the reader looks at older ones. */
  private closeGap(): void {
    if (!this.hasGap || !this.isFollowing.peek() || this.isLoading.peek()) return;
    this.hasGap = false;
    void this.load("");
  }

  private async refresh(): Promise<void> {
    const choice = this.choice;
    try {
      const found = await this.ask("");
      if (choice !== this.choice) return;
      // Without a log in common, the tail would lack those between the two.
      const isApart = found.next !== null && !found.logs.some((log) => this.known.has(log.id));
      if (isApart && this.isFollowing.peek()) this.fill(found, "");
      else {
        this.hasGap ||= isApart;
        this.add(found.logs);
      }
      this.problem.value = null;
    } catch (error) {
      if (choice === this.choice) this.problem.value = asApiError(error);
    }
  }

  private load(cursor: string): Promise<void> {
    return this.loading.run(
      (signal) => this.ask(cursor, { signal }),
      (found) => this.fill(found, cursor),
    );
  }

  /** Shows a page of logs: above the others, or alone if it is the newest one. */
  private fill(found: LogList, cursor: string): void {
    const older = found.logs.filter((log) => !cursor || !this.known.has(log.id)).reverse();
    const newest = found.logs[0]?.time_ns ?? 0n;
    // Of the newest page those stay that came while it was asked for.
    const later = this.logs
      .peek()
      .filter((log) => cursor || (this.known.has(log.id) && log.time_ns > newest));
    for (const log of older) this.known.add(log.id);
    this.logs.value = [...older, ...later];
    this.next.value = found.next;
    this.hasLoaded.value = true;
  }

  private ask(cursor: string, options: { signal?: AbortSignal } = {}) {
    const { q, level, trace } = this.choice;
    const query = { q, level, trace_id: trace, limit: PAGE, cursor };
    return this.client.get("logs", logs, { query, exact: true, ...options });
  }
}
