/** Asks the server; every answer is checked before it is used. */

import { DataError } from "../data/checks";
import { parseExact } from "../data/exact";
import { failure } from "./contract";
import type { Shape } from "./shape";

/** A request failed: what went wrong, and what can be done. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly hint: string,
    /** The status of HTTP; 0 if there was no answer. */
    readonly status: number,
    /** The place in the search where it is wrong; null where that is not the matter. */
    readonly at: number | null = null,
    /** After how many seconds the same may be asked again; null where the server does not say. */
    readonly retrySeconds: number | null = null,
  ) {
    super(message);
  }
}

export type Query = { [name: string]: string | number | null | undefined };

export interface Options {
  query?: Query;
  signal?: AbortSignal;
  /** Whether whole numbers stay exact, as attributes need it. */
  exact?: boolean;
}

export class Client {
  /** `base` is the address of the API; it ends in a slash. */
  constructor(
    private readonly base: string,
    private readonly fetcher: typeof fetch = (...given) => fetch(...given),
  ) {}

  /** Returns the address of a path below the API; empty values are left out. */
  url(path: string, query: Query = {}): string {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined && value !== "") parts.set(name, String(value));
    }
    const search = parts.toString();
    return `${this.base}${path}${search && `?${search}`}`;
  }

  /**
   * Returns a checked answer.
   *
   * Rejects with an `ApiError`, also where an answer does not have the shape; a request that is
   * aborted rejects with the browser's `AbortError`.
   */
  async get<T>(path: string, shape: Shape<T>, options: Options = {}): Promise<T> {
    const { query, signal, exact = false } = options;
    const text = await this.read(this.url(path, query), signal ? { signal } : {});
    return checked(text, shape, path, exact);
  }

  /** Sends a body of a media type, and returns the checked answer; rejects as `get` does. */
  async post<T>(
    path: string,
    shape: Shape<T>,
    body: BodyInit,
    mediaType: string,
    signal: AbortSignal,
  ): Promise<T> {
    const headers = { "content-type": mediaType };
    const text = await this.read(this.url(path), { method: "POST", headers, body, signal });
    return checked(text, shape, path);
  }

  private async read(url: string, init: RequestInit): Promise<string> {
    let response: Response;
    try {
      response = await this.fetcher(url, init);
      if (response.ok) return await response.text();
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new ApiError("the server does not answer", "Is `otel-ext serve` running?", 0);
    }
    const retry = response.status === 503 ? response.headers.get("retry-after") : null;
    throw failed(response.status, await response.text().catch(() => ""), secondsOf(retry));
  }
}

/** Whether a request was given up by the page itself. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Returns any error as one with a message and a hint. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(String(error), "", 0);
}

function checked<T>(text: string, shape: Shape<T>, path: string, exact = false): T {
  try {
    return shape(exact ? parseExact(text) : JSON.parse(text), path);
  } catch (error) {
    if (!(error instanceof DataError || error instanceof SyntaxError)) throw error;
    throw new ApiError(
      `the answer of the server cannot be shown: ${error.message}`,
      "Is it of another version than this page? Reload the page.",
      200,
    );
  }
}

/** Reads a header `Retry-After`; null for a date, which no server of ours sends. */
function secondsOf(header: string | null): number | null {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) : null;
}

function failed(status: number, body: string, retry: number | null): ApiError {
  try {
    const { error } = failure(JSON.parse(body), "error");
    return new ApiError(error.message, error.hint, status, error.at, retry);
  } catch {
    return new ApiError(`the server answered with status ${status}`, "", status, null, retry);
  }
}
