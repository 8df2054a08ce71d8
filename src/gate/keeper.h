/* The keeper: a process that holds the private keys of the gate and signs TLS handshakes for the
 * workers, nothing else. It reads no network. */
#pragma once

/* The process: talks to the parent on descriptor 3. Returns the exit status. */
int keeper_main(void);
