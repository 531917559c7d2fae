"""FacePhys as a .tflite file: for phones, and for web pages by LiteRT.js."""

from physkit.export.litert.target import LiteRTTarget

__all__ = ["LiteRTTarget"]
