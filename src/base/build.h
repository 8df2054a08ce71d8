/* Number of this version: what programs tell each other, and policy can demand of clients. */
#pragma once

enum {
	BUILD = 1
};
