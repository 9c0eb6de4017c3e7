/** Adds files of records to what the server keeps: sends them piece by piece, and counts. */

import { signal } from "@preact/signals";
import { ApiError, asApiError, type Client, isAbort } from "../../live/client";
import { received } from "../../live/contract";
import { type Bytes, isText, type Piece, piecesOf } from "../../live/pieces";

const MEDIA_TYPE = "application/x-ndjson";
/** How often a piece is sent again, with pauses that grow: for a minute in all. */
const MOST_RETRIES = 6;
const LONGEST_PAUSE_S = 30;
/** Of so many pieces the reasons are shown why records of them were refused. */
const MOST_REASONS = 3;

const OTHER_FORMATS =
  "Only lines of records can be added, as otel-ext writes them (*.jsonl), not compressed. " +
  "`otel-ext convert FILE -o records.jsonl` makes them of OTLP/JSON and of files of other tools.";

/** What became of a file. */
export interface Added {
  name: string;
  accepted: number;
  refused: number;
  /** Why records were refused, with the numbers of their lines. */
  reasons: readonly string[];
  /** Why the file, or the rest of it, was not sent; null if all of it was. */
  problem: { message: string; hint: string } | null;
}

/** How far the file is that is being sent. */
export interface Progress {
  name: string;
  sent: number;
  size: number;
  /** Whether the server has asked to send the same again later. */
  isWaiting: boolean;
}

/** Why a file is not sent on, although the server is well. */
class FileError extends Error {
  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

export class Adding {
  /** Whether files are held over the page. */
  readonly isOver = signal(false);
  readonly files = signal<readonly Added[]>([]);
  /** Null while nothing is sent. */
  readonly progress = signal<Progress | null>(null);
  /** Opens the browser's dialog of files; set by the component. */
  choose: () => void = () => {};
  private queue: File[] = [];
  private abort = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly pause: (seconds: number, signal: AbortSignal) => Promise<void> = pauseOf,
  ) {}

  /** Sends files one after the other, after those that wait already. */
  async add(files: readonly File[]): Promise<void> {
    if (files.length === 0) return;
    this.queue.push(...files);
    if (this.progress.peek()) return;
    this.files.value = [];
    this.abort = new AbortController();
    for (let file = this.queue.shift(); file; file = this.queue.shift()) await this.addOne(file);
    this.progress.value = null;
  }

  /** Sends no more; what was accepted stays. */
  stop(): void {
    this.queue = [];
    this.abort.abort();
  }

  /** Forgets what became of the files. */
  close(): void {
    this.files.value = [];
  }

  private async addOne(file: File): Promise<void> {
    const { name, size } = file;
    const added: Added = { name, accepted: 0, refused: 0, reasons: [], problem: null };
    this.progress.value = { name, sent: 0, size, isWaiting: false };
    try {
      if (size === 0) throw new FileError("is empty", "Of a folder, add the files in it.");
      for await (const piece of readable(piecesOf(file))) {
        this.abort.signal.throwIfAborted();
        if (piece.line === 0) checkText(piece);
        await this.take(added, piece);
        if (added.accepted === 0) throw noRecords(piece.end < size);
        this.progress.value = { name, sent: piece.end, size, isWaiting: false };
      }
    } catch (error) {
      added.problem = this.problemOf(error);
    }
    this.files.value = [...this.files.peek(), added];
  }

  /** Sends a piece, and adds what became of it. */
  private async take(added: Added, { bytes, line }: Piece): Promise<void> {
    if (!bytes) {
      added.refused += 1;
      addReason(added, `line ${line + 1}: too long for a record`);
      return;
    }
    const answer = await this.send(bytes);
    added.accepted += answer.accepted;
    added.refused += answer.rejected;
    if (answer.reasons) addReason(added, inFile(answer.reasons, line));
  }

  private async send(bytes: Bytes) {
    const { signal } = this.abort;
    for (let tried = 0; ; tried++) {
      try {
        return await this.client.post("records", received, bytes, MEDIA_TYPE, signal);
      } catch (error) {
        const seconds = error instanceof ApiError ? error.retrySeconds : null;
        if (seconds === null || tried === MOST_RETRIES) throw error;
        this.wait(true);
        await this.pause(Math.min(seconds * 2 ** tried, LONGEST_PAUSE_S), signal);
        this.wait(false);
      }
    }
  }

  private wait(isWaiting: boolean): void {
    const progress = this.progress.peek();
    if (progress) this.progress.value = { ...progress, isWaiting };
  }

  /** Says why a file was not sent on; what is wrong with the server ends the other files too. */
  private problemOf(error: unknown): { message: string; hint: string } {
    if (error instanceof FileError) return error;
    const left = this.queue.length;
    this.queue = [];
    if (isAbort(error)) return { message: "was stopped", hint: "What was accepted stays." };
    const { message, hint } = asApiError(error);
    const others = left > 0 ? ` The files after it were not sent (${left}).` : "";
    return { message: `was not sent to its end: ${message}`, hint: `${hint}${others}` };
  }
}

/** Says which lines of the file a reason is about that counts those of a piece. */
export function inFile(reasons: string, before: number): string {
  return reasons.replace(
    /(^|; )line (\d{1,9}):/g,
    (_, start: string, line: string) => `${start}line ${Number(line) + before}:`,
  );
}

function addReason(added: Added, reason: string): void {
  if (added.reasons.length < MOST_REASONS) added.reasons = [...added.reasons, reason];
}

function checkText({ bytes }: Piece): void {
  if (bytes && !isText(bytes)) throw new FileError("is not text", OTHER_FORMATS);
}

function noRecords(hasRest: boolean): FileError {
  const what = hasRest
    ? "has no records at its beginning; the rest was not sent"
    : "has no records";
  return new FileError(what, OTHER_FORMATS);
}

/** Returns the pieces; an error of the browser, which reads them, becomes one of the file. */
async function* readable(pieces: AsyncGenerator<Piece>): AsyncGenerator<Piece> {
  try {
    yield* pieces;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new FileError(
      "cannot be read",
      "Of a folder, add the files in it. Of a file that still grows, add a copy.",
    );
  }
}

function pauseOf(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
