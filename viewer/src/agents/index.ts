/** Spans of LLM agents, shown as a conversation. */

import "./agents.css";

export { type AgentsClient, AgentsView, agentTraceOf, type TraceColumns } from "./AgentsView";
export { Conversation } from "./ConversationView";
export { conversationOf } from "./conversation";
export { isAgentSpan } from "./kinds";
export type { AgentLog, AgentSpan, Conversation as ConversationModel } from "./model";
export type { AgentTrace, DetailsById } from "./nodes";
