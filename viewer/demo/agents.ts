/** The run of an agent that repairs a test, with a second agent within it, as its spans arrive. */

import type { TraceColumns } from "../src/agents";
import type { AgentSpan } from "../src/agents/model";
import type { Attributes, Json, SpanDetails } from "../src/data/contract";

interface Planned {
  id: string;
  parent: string;
  name: string;
  start: number;
  end: number;
  error: string;
  /** What is known when it starts, and what more when it ends. */
  given: Attributes;
  found: Attributes;
}

type Message = { [key: string]: Json };

const seconds = (count: number) => count * 1e9;
const MODEL = "claude-sonnet-5";
const text = (content: string) => ({ type: "text", content });
const call = (id: string, name: string, args: { [key: string]: Json }) => ({
  type: "tool_call",
  id,
  name,
  arguments: args,
});
const result = (id: string, response: Json): Message => ({
  role: "tool",
  parts: [{ type: "tool_call_response", id, response }],
});
const user = (content: string): Message => ({ role: "user", parts: [text(content)] });
const assistant = (...parts: Json[]): Message => ({ role: "assistant", parts });

const INSTRUCTIONS = `You repair Python programs.

## How you work
1. Run the tests before you change anything.
2. Change as little as possible, and say why.
3. Run the tests again.

Never edit files outside of the project.`;

const QUESTION = `The nightly build is red since yesterday: \`test_total_of_a_cart\` fails.
Please find out why and repair it.

Here is what CI says:

    E   assert Decimal('129.94') == Decimal('129.95')`;

const SOURCE = Array.from({ length: 46 }, (_, line) =>
  line === 30
    ? "        total += round(item.price * item.count * (1 + item.tax), 2)"
    : line % 9 === 0
      ? ""
      : `    ${"    ".repeat(line % 3)}line_${line + 1} = price_of(item_${line + 1}, currency)`,
).join("\n");

const ANSWER = `The test fails because **each item is rounded before the sum is made**.

| step | before | now |
|------|--------|-----|
| tax of an item | \`round(price * tax, 2)\` | exact |
| total of the cart | sum of rounded values | rounded once |

I changed one line in \`shop/cart.py\`:

\`\`\`python
return sum(item.exact() for item in self.items).quantize(CENT, ROUND_HALF_EVEN)
\`\`\`

All 214 tests pass. <b>Nothing else was touched.</b>`;

/** Returns the spans as planned, from the first to the last. */
function planned(): Planned[] {
  const spans: Planned[] = [];
  let count = 0;
  const add = (name: string, parent: string, from: number, to: number, more: Partial<Planned>) => {
    count += 1;
    const id = (0xa1b2c3d4e5 * 4096 + count).toString(16).padStart(16, "0");
    const [start, end] = [seconds(from), seconds(to)];
    spans.push({ id, parent, name, start, end, error: "", given: {}, found: {}, ...more });
    return id;
  };
  const chat = (
    parent: string,
    from: number,
    to: number,
    input: Message[],
    output: Message[],
    tokens: [number, number, number],
    more: Attributes = {},
  ) =>
    add(`chat ${MODEL}`, parent, from, to, {
      given: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": MODEL,
        "gen_ai.system_instructions": JSON.stringify([text(INSTRUCTIONS)]),
        "gen_ai.input.messages": JSON.stringify(input),
        ...more,
      },
      found: {
        "gen_ai.response.model": MODEL,
        "gen_ai.output.messages": JSON.stringify(output),
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.usage.cache_read.input_tokens": tokens[2],
        "gen_ai.response.finish_reasons": [tokens[1] > 700 ? "max_tokens" : "tool_use"],
      },
    });
  const tool = (
    parent: string,
    from: number,
    to: number,
    [id, name, args]: [string, string, Json],
    response: Json,
    error = "",
  ) =>
    add(`execute_tool ${name}`, parent, from, to, {
      error,
      given: {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": id,
        "gen_ai.tool.call.arguments": JSON.stringify(args),
      },
      found: error ? {} : { "gen_ai.tool.call.result": response },
    });

  const root = add("POST /repair", "", 0, 64, { given: { "http.route": "/repair" } });
  const agent = add("invoke_agent repairer", root, 0.02, 63.9, {
    given: {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": "repairer",
      "gen_ai.conversation.id": "conv_5j66UpCpwteGg4YS",
      "gen_ai.input.messages": JSON.stringify([user(QUESTION)]),
      "gen_ai.tool.definitions": JSON.stringify(
        ["run_tests", "read_file", "edit_file", "research"].map((name) => ({
          type: "function",
          name,
        })),
      ),
    },
  });

  const history: Message[] = [user(QUESTION)];
  const first = assistant(
    {
      type: "reasoning",
      content: "One cent of difference: this looks like rounding. First I look.",
    },
    text("I run the tests first and read the module."),
    call("toolu_01", "run_tests", { path: "tests/test_cart.py", verbose: true }),
    call("toolu_02", "read_file", { path: "shop/cart.py" }),
  );
  chat(agent, 0.1, 3.4, history, [first], [1_182, 164, 0]);
  const failing =
    "1 failed, 213 passed in 6.1 s\nE   assert Decimal('129.94') == Decimal('129.95')";
  tool(
    agent,
    3.5,
    9.8,
    ["toolu_01", "run_tests", { path: "tests/test_cart.py", verbose: true }],
    failing,
  );
  tool(agent, 3.5, 3.7, ["toolu_02", "read_file", { path: "shop/cart.py" }], SOURCE);

  const second = [...history, first, result("toolu_01", failing), result("toolu_02", SOURCE)];
  const asks = assistant(
    text("How does the tax office want it? I ask the researcher."),
    call("toolu_03", "research", {
      question: "Is VAT rounded for each item or for the whole invoice?",
      sources: ["law", "guidance"],
      most: 3,
    }),
  );
  chat(agent, 9.9, 14.2, second, [asks], [3_911, 98, 1_182]);
  research(agent);

  const answer = "Both are allowed; the invoice has to name one. Most shops round the **total**.";
  const third = [...second, asks, result("toolu_03", answer)];
  const edits = assistant(
    text("So I round once, and try it."),
    call("toolu_04", "edit_file", {
      path: "shop/cart.py",
      line: 31,
      old: "total += round(item.price * item.count * (1 + item.tax), 2)",
      new: "total += item.price * item.count * (1 + item.tax)",
    }),
  );
  chat(agent, 34.1, 39, third, [edits], [4_390, 121, 3_911]);
  tool(
    agent,
    39.1,
    39.3,
    ["toolu_04", "edit_file", { path: "shop/cart.py", line: 31 }],
    "",
    "PermissionError: [Errno 13] Permission denied: 'shop/cart.py'",
  );
  const refused = "PermissionError: [Errno 13] Permission denied: 'shop/cart.py'";
  const fourth = [
    ...third,
    edits,
    result("toolu_04", refused),
    {
      role: "user",
      parts: [
        text("Sorry, it was locked by my editor. Try again. This is what I saw:"),
        {
          type: "blob",
          modality: "image",
          mime_type: "image/png",
          content: "iVBORw0KGgo".repeat(900),
        },
      ],
    },
  ];
  const again = assistant(
    call("toolu_05", "edit_file", { path: "shop/cart.py", line: 31 }),
    call("toolu_06", "run_tests", { path: "tests" }),
  );
  chat(agent, 44, 47.5, fourth, [again], [4_610, 60, 4_390]);
  tool(agent, 47.6, 47.7, ["toolu_05", "edit_file", { path: "shop/cart.py", line: 31 }], {
    changed: 1,
    backup: "shop/cart.py~",
  });
  tool(agent, 47.8, 57.9, ["toolu_06", "run_tests", { path: "tests" }], "214 passed in 9.8 s");
  const last = [
    ...fourth,
    again,
    result("toolu_05", { changed: 1, backup: "shop/cart.py~" }),
    result("toolu_06", "214 passed in 9.8 s"),
  ];
  chat(agent, 58, 63.8, last, [assistant(text(ANSWER))], [4_730, 812, 4_610]);
  return spans.sort((one, other) => one.start - other.start);

  /** The second agent, which another library writes: OpenInference. */
  function research(parent: string): void {
    const question = "Is VAT rounded for each item or for the whole invoice?";
    const by = tool(
      parent,
      14.3,
      34,
      ["toolu_03", "research", { question, sources: ["law", "guidance"], most: 3 }],
      "Both are allowed; the invoice has to name one. Most shops round the **total**.",
    );
    const inner = add("researcher", by, 14.4, 33.9, {
      given: {
        "openinference.span.kind": "AGENT",
        "agent.name": "researcher",
        "input.value": question,
      },
    });
    add("vector search", inner, 14.5, 16.1, {
      given: { "openinference.span.kind": "RETRIEVER", "input.value": question },
      found: {
        "retrieval.documents.0.document.id": "directive-2006-112",
        "retrieval.documents.0.document.score": 0.93,
        "retrieval.documents.0.document.content": "Article 226: the VAT amount payable …",
        "retrieval.documents.1.document.id": "notice-700",
        "retrieval.documents.1.document.score": 0.88,
        "retrieval.documents.1.document.content": "You may round down the total VAT payable …",
      },
    });
    add("ChatCompletion", inner, 16.2, 33.8, {
      given: {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-5",
        "llm.provider": "openai",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Answer from the documents alone.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": question,
      },
      found: {
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content":
          "Both are allowed; the invoice has to name one. Most shops round the **total**.",
        "llm.token_count.prompt": 2_204,
        "llm.token_count.completion": 71,
      },
    });
  }
}

/** Returns the spans and their details as they are so many seconds after the start. */
export function agentRun(after = 64): {
  spans: AgentSpan[];
  details: { [id: string]: SpanDetails };
} {
  const now = seconds(after);
  const details: { [id: string]: SpanDetails } = {};
  const begun = planned().filter((span) => span.start <= now);
  const spans = begun.map(({ id, parent, name, start, end, error, given, found }): AgentSpan => {
    const hasEnded = end <= now;
    details[id] = { attributes: hasEnded ? { ...given, ...found } : given };
    return {
      id,
      parent,
      name,
      state: hasEnded ? (error ? "error" : "ended") : "running",
      start,
      end: hasEnded ? end : null,
      until: hasEnded ? end : now,
      service: "repair",
      error: hasEnded ? error : "",
    };
  });
  return { spans, details };
}

/** Returns spans by columns, as a trace has them. */
export function columnsOf(spans: AgentSpan[]): TraceColumns {
  const ids = spans.map((span) => span.id);
  return {
    ids,
    parent: spans.map((span) => ids.indexOf(span.parent)),
    start: spans.map((span) => span.start),
    until: spans.map((span) => span.until),
    logs: [],
    name: (span) => spans[span]?.name ?? "",
    stateOf: (span) => spans[span]?.state ?? "ended",
    isOpen: (span) => spans[span]?.end === null,
    service: (span) => spans[span]?.service ?? "",
    error: (span) => spans[span]?.error ?? "",
  };
}
