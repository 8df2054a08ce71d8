"""Prints the colour tables of each CRTC of DISPLAY: "crtc ID lit|off HEX"."""
import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_short, c_uint, c_ulong, c_ushort, c_void_p

x, r = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXrandr.so.2")


class Resources(Structure):
    _fields_ = [("timestamp", c_ulong), ("config", c_ulong), ("ncrtc", c_int), ("crtcs", POINTER(c_ulong))]


class Crtc(Structure):
    _fields_ = [("timestamp", c_ulong), ("x", c_int), ("y", c_int), ("width", c_uint), ("height", c_uint), ("mode", c_ulong)]


class Gamma(Structure):
    _fields_ = [("size", c_int), ("red", POINTER(c_ushort)), ("green", POINTER(c_ushort)), ("blue", POINTER(c_ushort))]


x.XOpenDisplay.restype = c_void_p
x.XDefaultRootWindow.restype = c_ulong
x.XDefaultRootWindow.argtypes = [c_void_p]
r.XRRGetScreenResourcesCurrent.restype = POINTER(Resources)
r.XRRGetScreenResourcesCurrent.argtypes = [c_void_p, c_ulong]
r.XRRGetCrtcInfo.restype = POINTER(Crtc)
r.XRRGetCrtcInfo.argtypes = [c_void_p, c_void_p, c_ulong]
r.XRRGetCrtcGamma.restype = POINTER(Gamma)
r.XRRGetCrtcGamma.argtypes = [c_void_p, c_ulong]
display = x.XOpenDisplay(None)
resources = r.XRRGetScreenResourcesCurrent(display, x.XDefaultRootWindow(display))
for i in range(resources[0].ncrtc):
    crtc = resources[0].crtcs[i]
    info, gamma = r.XRRGetCrtcInfo(display, resources, crtc)[0], r.XRRGetCrtcGamma(display, crtc)[0]
    ramps = "".join(f"{ramp[n]:04x}" for ramp in (gamma.red, gamma.green, gamma.blue) for n in range(gamma.size))
    print("crtc", crtc, "lit" if info.mode else "off", ramps)
