/** A field for a search: completion, and what is wrong with it, at its place. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const DELAY_MS = 120;

/** A word that may come next, with how often it is there. */
export interface Word {
  text: string;
  count?: number | undefined;
}

/** What is wrong with a search, and what to write instead. */
export interface Problem {
  problem: string;
  hint: string;
  at: number;
}

interface Props {
  value: string;
  label: string;
  placeholder: string;
  words: (typed: string) => Word[];
  problem: Problem | null;
  /** The search is another one; called a moment after the last key. */
  onSearch: (text: string) => void;
  onEnter: (field: HTMLInputElement, isShift: boolean) => void;
  /** What was found. */
  children?: ComponentChildren;
}

export function SearchField(props: Props) {
  const { value, label, placeholder, words, problem, onSearch, onEnter, children } = props;
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(value);
  // What came from here must not come back: the reader may have typed more in the meantime.
  const sent = useRef(typed);
  const send = () => {
    if (typed === sent.current) return;
    sent.current = typed;
    onSearch(typed);
  };
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setTyped(value);
  }, [value]);
  useEffect(() => {
    if (typed === sent.current) return;
    const timer = setTimeout(send, DELAY_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    send();
    if (event.key === "Escape") return; // the handler of all keys leaves the field
    event.preventDefault();
    if (input.current) onEnter(input.current, event.shiftKey);
  };
  return (
    <div class="search">
      <input
        ref={input}
        type="search"
        value={typed}
        placeholder={placeholder}
        aria-label={label}
        aria-invalid={problem !== null}
        aria-describedby="search-says"
        spellcheck={false}
        autocomplete="off"
        list="search-words"
        onInput={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <datalist id="search-words">
        {words(typed).map(({ text, count }) => (
          <option key={text} value={text} label={count ? `${text}  × ${count}` : undefined} />
        ))}
      </datalist>
      {children}
      <div id="search-says" role="status">
        {problem && <SearchProblem text={typed} {...problem} />}
      </div>
    </div>
  );
}

/** Shows the search with its wrong place underlined, and what to write instead. */
function SearchProblem(props: Problem & { text: string }) {
  const { text, at, problem, hint } = props;
  const word = /^\S+/.exec(text.slice(at))?.[0] ?? " ";
  return (
    <div class="problem">
      <code>
        {text.slice(0, at)}
        <u>{word}</u>
        {text.slice(at + word.length)}
      </code>
      <span>
        {problem}. {hint}
      </span>
    </div>
  );
}
