/* Inside of posture.h on Linux: files on one side (posture_linux.c), services on the bus on the
 * other (posture_bus.c). Parsers are pure and bounded; root is "" for the system itself. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "inner.pb.h"

enum {
	POSTURE_NETWORKS_MAX = 8,
	CVD_HEADER_BYTES = 512
};

/* Networks that are connected, by name; only those of Wi-Fi have to be asked about. */
struct posture_networks {
	size_t count;
	struct {
		char name[16];
		int wireless;
	} items[POSTURE_NETWORKS_MAX];
};

void posture_files(
	const char *root, engawa_Posture *posture, struct posture_networks *ret_networks);
/* Of the disk that has the root directory, by its number. */
engawa_Known posture_disk(const char *root, unsigned major, unsigned minor, int depth);

/* Values of ID and VERSION_ID; what is no plain word stays empty. */
void posture_os_release(const char *text, size_t len, engawa_Posture *posture);
/* When the patterns behind this header of a .cvd or .cld were made: 0 or -EINVAL. */
int posture_cvd_time(const char *header, size_t len, uint64_t *ret_s);
/* From the flags of NetworkManager's AccessPoint. */
engawa_NetworkSecurity posture_wifi(uint32_t flags, uint32_t wpa, uint32_t rsn);

/* NetworkManager, AccountsService, the desktop's settings. */
void posture_bus(engawa_Posture *posture, const struct posture_networks *networks);
