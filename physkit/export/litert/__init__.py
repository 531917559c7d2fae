"""FacePhys as a .tflite file: for phones, and for web pages by LiteRT.js."""
