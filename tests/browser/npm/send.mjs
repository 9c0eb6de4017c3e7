// Sends a trace with OpenTelemetry's own SDK for JavaScript: node send.mjs ADDRESS json|protobuf

import { context, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [address, encoding] = process.argv.slice(2);
const Exporter = encoding === "json" ? JsonExporter : ProtobufExporter;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": `javascript ${encoding}` }),
  spanProcessors: [new BatchSpanProcessor(new Exporter({ url: `${address}/v1/traces` }))],
});
provider.register();

const tracer = trace.getTracer("shop");
const root = tracer.startSpan(`GET /${encoding}`, { attributes: { "http.route": "/", count: 3 } });
context.with(trace.setSpan(context.active(), root), () => {
  const child = tracer.startSpan("render", { attributes: { rows: [1, 2, 3] } });
  child.addEvent("drawn", { parts: 2 });
  child.recordException(new TypeError("no such picture"));
  child.setStatus({ code: SpanStatusCode.ERROR, message: "no such picture" });
  child.end();
});
root.end();
await provider.shutdown();
