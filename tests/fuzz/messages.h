/* Every message of outer.proto and link.proto, for the target of frames. */
#pragma once
#include "link.pb.h"

#define M(name) engawa_##name##_fields
static const pb_msgdesc_t *const messages[] = {M(Hello), M(Bye), M(Ping), M(Pong), M(Welcome),
	M(Knock), M(Refuse), M(SendCode), M(CodeSent), M(Goaway), M(Ask), M(Grant), M(Join),
	M(Answer), M(Joined), M(Enrol), M(Enrolled), M(LinkHello), M(LinkWelcome), M(AgentUp),
	M(LinkAsk), M(LinkGrant), M(LinkEnrol), M(LinkEnrolled), M(LinkSendCode), M(LinkCodeSent),
	M(SessionUp), M(SessionDown), M(EndSession), M(Deny), M(AgentDown), M(MailState),
	M(LinkMailState), M(LinkSessionWaits), M(LinkDemand), M(LinkShares)};
#undef M
