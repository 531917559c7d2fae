/** Every frame of a video file, in order, with its true time. */

import { ALL_FORMATS, BlobSource, Input, VideoSampleSink } from 'mediabunny';
import { Problem } from '../problem';
import { Picture } from './picture';

export interface FileFrame {
  picture: Picture;
  timeS: number;
  /** Draws the frame upright, width x height large. */
  draw(context: OffscreenCanvasRenderingContext2D, width: number, height: number): void;
}

export interface VideoFile {
  durationS: number;
  /** Frames as they are decoded; each may be drawn until the next is asked for. */
  frames(): AsyncGenerator<FileFrame>;
  close(): void;
}

/** Opens a file from the user's disk. Throws a Problem that says what is wrong with it. */
export async function openFile(file: File): Promise<VideoFile> {
  if (typeof VideoDecoder === 'undefined')
    throw new Problem('no-webcodecs', 'VideoDecoder is missing');
  const input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
  const track = await input.getPrimaryVideoTrack().catch((error: unknown) => {
    throw new Problem('no-video', `${file.name}: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (!track) throw new Problem('no-video', `${file.name} holds no pictures`);
  if (!(await track.canDecode())) {
    const codec = (await track.getCodecParameterString()) ?? track.codec ?? 'an unknown codec';
    throw new Problem('unsupported-codec', `${file.name} is encoded as ${codec}`);
  }
  const durationS = await track.computeDuration();
  return {
    durationS,
    frames: () => decoded(new VideoSampleSink(track), file.name),
    close: () => input.dispose(),
  };
}

async function* decoded(sink: VideoSampleSink, name: string): AsyncGenerator<FileFrame> {
  let lastS = -Infinity;
  const samples = sink.samples();
  for (;;) {
    const { value: sample, done } = await samples.next().catch((error: unknown) => {
      throw new Problem('damaged-video', `${name}: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (done) return;
    const timeS = sample.timestamp;
    // the same moment twice would be a frame of no duration
    if (timeS <= lastS) {
      sample.close();
      continue;
    }
    lastS = timeS;
    const frame = sample.toVideoFrame();
    try {
      const picture = await Picture.of(frame, sample.rotation);
      yield { picture, timeS, draw: (context, w, h) => sample.draw(context, 0, 0, w, h) };
    } finally {
      frame.close();
      sample.close();
    }
  }
}
