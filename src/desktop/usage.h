/* Physical keys: USB HID usage (HID Usage Tables 1.4, page 7) to the kernel's key code, which X
 * numbers 8 higher. */
#pragma once
#include <stdint.h>

/* 0 when there is no such key, or when it is not for people at a distance (power, volume of the
 * office PC's loudspeaker). */
uint16_t usage_evdev(uint32_t usage);
