/** Cuts a file of lines into pieces that a request may hold; no more than one of them is in memory. */

/** Twice the longest line of a record, and a quarter of the largest body that the server takes. */
export const PIECE_BYTES = 2 * 1024 * 1024;

const NEWLINE = 10;
/** How much of a file says whether it is text. */
const SAMPLE_BYTES = 4096;

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Piece {
  /** Whole lines; null for one line that is longer than a piece and therefore left out. */
  bytes: Bytes | null;
  /** How many lines of the file are before it. */
  line: number;
  /** How many bytes of the file are read with it. */
  end: number;
}

/** Returns the pieces in their order; only the last line of a file may lack its newline. */
export async function* piecesOf(file: Blob, most = PIECE_BYTES): AsyncGenerator<Piece> {
  let line = 0;
  for (let at = 0; at < file.size; ) {
    const bytes = await read(file, at, most);
    const isLast = at + bytes.length >= file.size;
    // A newline is never a part of another character in UTF-8, so the cut is between two.
    const cut = isLast ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (cut > 0) {
      const whole = bytes.subarray(0, cut);
      at += cut;
      yield { bytes: whole, line, end: at };
      line += newlinesIn(whole);
    } else {
      yield { bytes: null, line, end: at + bytes.length };
      at = await endOfLine(file, at + bytes.length, most);
      line += 1;
    }
  }
}

/** Whether the beginning of a file is text in UTF-8. */
export function isText(bytes: Bytes): boolean {
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  if (sample.includes(0)) return false;
  try {
    // As a stream, because the last character of the sample may be cut.
    new TextDecoder("utf-8", { fatal: true }).decode(sample, { stream: true });
    return true;
  } catch {
    return false;
  }
}

async function endOfLine(file: Blob, from: number, most: number): Promise<number> {
  for (let at = from; at < file.size; at += most) {
    const newline = (await read(file, at, most)).indexOf(NEWLINE);
    if (newline >= 0) return at + newline + 1;
  }
  return file.size;
}

async function read(file: Blob, at: number, most: number): Promise<Bytes> {
  return new Uint8Array(await file.slice(at, at + most).arrayBuffer());
}

function newlinesIn(bytes: Bytes): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
