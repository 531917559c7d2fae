/** Frames of a camera with their capture times; late ones are dropped, never queued. */

import { Problem } from '../problem';

const MOST_IN_FLIGHT = 2;

export class Camera {
  private inFlight = 0;
  private isOpen = true;
  private handle = 0;
  dropped = 0;

  private constructor(
    private readonly stream: MediaStream,
    private readonly video: HTMLVideoElement,
    private readonly onFrame: (frame: VideoFrame, timeS: number, capturedMs: number) => void,
    onLost: () => void,
  ) {
    stream.getVideoTracks()[0].addEventListener('ended', () => {
      if (this.isOpen) onLost();
    });
    this.await();
  }

  /** Asks for the camera that faces the user. Throws a Problem where there is none to be had. */
  static async open(
    onFrame: (frame: VideoFrame, timeS: number, capturedMs: number) => void,
    onLost: () => void,
  ): Promise<Camera> {
    if (typeof VideoFrame === 'undefined') throw new Problem('no-webcodecs', 'VideoFrame is missing');
    if (!navigator.mediaDevices)
      throw new Problem('no-camera', 'this address is not secure: use localhost or https');
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: 'user' };
    const stream = await navigator.mediaDevices
      .getUserMedia({ video: wanted, audio: false })
      .catch((error: DOMException) => {
        const isDenied = error.name === 'NotAllowedError' || error.name === 'SecurityError';
        throw new Problem(isDenied ? 'camera-denied' : 'no-camera', `${error.name}: ${error.message}`);
      });
    const video = document.createElement('video');
    video.muted = true;
    video.playsInline = true;
    video.srcObject = stream;
    await video.play();
    return new Camera(stream, video, onFrame, onLost);
  }

  /** A frame that was handed out is done with. */
  taken(): void {
    this.inFlight--;
  }

  close(): void {
    this.isOpen = false;
    this.video.cancelVideoFrameCallback(this.handle);
    this.stream.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }

  private await(): void {
    this.handle = this.video.requestVideoFrameCallback((nowMs, { captureTime }) => {
      if (!this.isOpen) return;
      this.await();
      if (this.inFlight >= MOST_IN_FLIGHT) {
        this.dropped++;
        return;
      }
      const capturedMs = captureTime ?? nowMs;
      const frame = new VideoFrame(this.video, { timestamp: Math.round(capturedMs * 1000) });
      this.inFlight++;
      this.onFrame(frame, capturedMs / 1000, performance.timeOrigin + capturedMs);
    });
  }
}
