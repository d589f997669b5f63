"""The encoders of G.711 bit by bit, after the ITU's reference (G.191), at 16 bits."""


def reference_ulaw(linear: int) -> int:
    magnitude = min(((~linear if linear < 0 else linear) >> 2) + 33, 0x1FFF)
    segment = 1
    rest = magnitude >> 6
    while rest:
        segment += 1
        rest >>= 1
    code = (8 - segment) << 4 | 0x0F - (magnitude >> segment & 0x0F)
    return code | 0x80 if linear >= 0 else code


def reference_alaw(linear: int) -> int:
    magnitude = (~linear if linear < 0 else linear) >> 4
    if magnitude > 15:
        exponent = 1
        while magnitude > 31:
            magnitude >>= 1
            exponent += 1
        magnitude += (exponent << 4) - 16
    return (magnitude | 0x80 if linear >= 0 else magnitude) ^ 0x55
