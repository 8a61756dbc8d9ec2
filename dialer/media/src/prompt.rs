//! Prompts: samples made once into frames of 20 ms in every format, shared by all calls.

use std::{sync::Arc, time::Duration};

use crate::Codec;

/// Samples in a frame: 20 ms at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;
/// The length of a frame.
pub const FRAME: Duration = Duration::from_millis(20);
/// The longest prompt, samples at 8 kHz: ten minutes.
const MAX_SAMPLES: usize = 8_000 * 600;

/// Why samples make no prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// No samples.
    #[error("the prompt is empty")]
    Empty,
    /// Longer than ten minutes.
    #[error("the prompt is {0} s long; the longest is 600 s")]
    TooLong(usize),
    /// Another rate.
    #[error("the prompt has {0} samples a second; 8000 or 16000 are needed")]
    Rate(u32),
}

/// An announcement, ready to be sent in any format. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prompt {
    ulaw: Arc<[u8]>,
    alaw: Arc<[u8]>,
}

impl Prompt {
    /// A prompt from mono samples at 8 or 16 kHz. The last frame is filled up with silence.
    ///
    /// # Errors
    /// If there are no samples, more than ten minutes of them, or at another rate.
    pub fn from_samples(samples: &[i16], rate_hz: u32) -> Result<Self, PromptError> {
        let factor = match rate_hz {
            8_000 => 1,
            16_000 => 2,
            other => return Err(PromptError::Rate(other)),
        };
        if samples.is_empty() {
            return Err(PromptError::Empty);
        }
        if samples.len() / factor > MAX_SAMPLES {
            return Err(PromptError::TooLong(samples.len() / factor / 8_000));
        }
        let halved = (factor == 2).then(|| halve(samples));
        let samples = halved.as_deref().unwrap_or(samples);
        let encoded = |codec: Codec| -> Arc<[u8]> {
            let missing = samples.len().next_multiple_of(FRAME_SAMPLES) - samples.len();
            let silence = std::iter::repeat_n(0, missing);
            samples.iter().copied().chain(silence).map(|sample| codec.encode(sample)).collect()
        };
        Ok(Self { ulaw: encoded(Codec::Pcmu), alaw: encoded(Codec::Pcma) })
    }

    /// Its frames in one format.
    #[must_use]
    pub fn frames(&self, codec: Codec) -> Frames {
        let bytes = match codec {
            Codec::Pcmu => &self.ulaw,
            Codec::Pcma => &self.alaw,
        };
        Frames { codec, bytes: Arc::clone(bytes) }
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.frames(Codec::Pcmu).duration()
    }
}

/// A prompt in one format, in frames of [`FRAME_SAMPLES`] bytes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Frames {
    codec: Codec,
    bytes: Arc<[u8]>,
}

impl Frames {
    /// The format.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bytes.len() / FRAME_SAMPLES
    }

    /// The frame at `index`, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let from = index.checked_mul(FRAME_SAMPLES)?;
        self.bytes.get(from..from.checked_add(FRAME_SAMPLES)?)
    }

    /// How long they play.
    #[must_use]
    pub fn duration(&self) -> Duration {
        span(self.count())
    }
}

/// The length of so many frames.
pub(crate) fn span(frames: usize) -> Duration {
    FRAME.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX))
}

/// One half of a symmetric low-pass for 16 kHz, in 1/32768: 47 taps, Blackman window, -6 dB at
/// 3.4 kHz, -31 dB at 4 kHz, below -74 dB from 4.4 kHz on. The last one is the middle.
const LOW_PASS: [i32; 24] = [
    0, -1, 1, 8, 4, -25, -29, 40, 92, -22, -196, -82, 303, 331, -318, -749, 80, 1298, 658, -1865,
    -2467, 2296, 10065, 13924,
];

/// Every second sample, after a low-pass: 16 kHz to 8 kHz.
fn halve(samples: &[i16]) -> Vec<i16> {
    let middle = LOW_PASS.len() - 1;
    let at = |index: Option<usize>| {
        index.and_then(|index| samples.get(index)).copied().map_or(0, i32::from)
    };
    (0..samples.len())
        .step_by(2)
        .map(|center| {
            let sides = (0..).zip(LOW_PASS).take(middle).map(|(tap, weight)| {
                let distance = middle - tap;
                weight * (at(center.checked_sub(distance)) + at(center.checked_add(distance)))
            });
            // The weights' magnitudes sum up to less than 2^16: no overflow of 32 bits.
            let sum: i32 = sides.sum::<i32>() + at(Some(center)) * LOW_PASS.last().unwrap_or(&0);
            let rounded = (sum + (1 << 14)) >> 15;
            i16::try_from(rounded).unwrap_or(if rounded < 0 { i16::MIN } else { i16::MAX })
        })
        .collect()
}

/// A sine at 8 kHz, at a tenth of full power, with soft ends: a prompt for where there is none.
/// `freq_hz` above 4000 has no meaning at this rate and is taken as 4000.
#[must_use]
pub fn tone(freq_hz: u16, length_ms: u32) -> Vec<i16> {
    const RAMP: u32 = 40;
    let total = length_ms.min(600_000).saturating_mul(8);
    let step = f64::from(freq_hz.min(4_000)) * std::f64::consts::TAU / 8_000.0;
    (0..total)
        .map(|index| {
            let from_end = index.min(total - 1 - index);
            let gain = f64::from(from_end.min(RAMP)) / f64::from(RAMP);
            let value = 10_362.0 * gain * (step * f64::from(index)).sin();
            #[expect(clippy::cast_possible_truncation, reason = "at most 10362 in magnitude")]
            let sample = value.round() as i16;
            sample
        })
        .collect()
}

#[cfg(test)]
mod tests;
