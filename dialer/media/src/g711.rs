//! ITU-T G.711: mu-law and A-law by table, the tables made at compile time.
//!
//! Samples are 16-bit linear. Mu-law uses their upper 14 bits, A-law their upper 13.

/// Codes of the magnitudes 0, 4, 8 ... 32764, without sign: neither law distinguishes finer steps.
const STEPS: usize = 8192;
static ULAW: [u8; STEPS] = encode_table(Law::Mu);
static ALAW: [u8; STEPS] = encode_table(Law::A);
static FROM_ULAW: [i16; 256] = decode_table(Law::Mu);
static FROM_ALAW: [i16; 256] = decode_table(Law::A);

/// The mu-law code of a sample.
#[must_use]
pub fn ulaw_encode(sample: i16) -> u8 {
    // Codes are transmitted inverted; 0xFF is plus zero.
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(look_up(&ULAW, sample.unsigned_abs()) | sign)
}

/// The sample of a mu-law code.
#[must_use]
pub fn ulaw_decode(code: u8) -> i16 {
    FROM_ULAW.get(usize::from(code)).copied().unwrap_or(0)
}

/// The A-law code of a sample.
#[must_use]
pub fn alaw_encode(sample: i16) -> u8 {
    // Even bits are transmitted inverted. Negative values mirror at -0.5: the complement.
    let (magnitude, sign) = if sample < 0 { (!sample, 0) } else { (sample, 0x80) };
    (look_up(&ALAW, magnitude.unsigned_abs()) | sign) ^ 0x55
}

/// The sample of an A-law code.
#[must_use]
pub fn alaw_decode(code: u8) -> i16 {
    FROM_ALAW.get(usize::from(code)).copied().unwrap_or(0)
}

fn look_up(table: &[u8; STEPS], magnitude: u16) -> u8 {
    // -32768 has a magnitude beyond the table: it is clipped like its neighbour.
    let at = usize::from(magnitude >> 2).min(STEPS - 1);
    table.get(at).copied().unwrap_or(0)
}

#[derive(Clone, Copy)]
enum Law {
    Mu,
    A,
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
#[expect(clippy::cast_possible_truncation, reason = "magnitudes stay below 2^15")]
const fn encode_table(law: Law) -> [u8; STEPS] {
    let mut table = [0; STEPS];
    let mut at = 0;
    while at < STEPS {
        let magnitude = (at * 4) as u32;
        table[at] = match law {
            Law::Mu => encode_mu(magnitude),
            Law::A => encode_a(magnitude),
        };
        at += 1;
    }
    table
}

/// Segment and step of a mu-law magnitude: bias 132, clipped at 32635.
#[expect(clippy::cast_possible_truncation, reason = "segment and step are masked to seven bits")]
const fn encode_mu(magnitude: u32) -> u8 {
    let clipped = if magnitude > 32_635 { 32_635 } else { magnitude };
    let biased = clipped + 132;
    let segment = biased.ilog2() - 7;
    (segment << 4 | biased >> (segment + 3) & 15) as u8
}

/// Segment and step of an A-law magnitude; the lowest two segments have the same step.
#[expect(clippy::cast_possible_truncation, reason = "segment and step are masked to seven bits")]
const fn encode_a(magnitude: u32) -> u8 {
    if magnitude < 256 {
        return (magnitude >> 4) as u8;
    }
    let segment = magnitude.ilog2() - 7;
    (segment << 4 | magnitude >> (segment + 3) & 15) as u8
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
#[expect(clippy::cast_possible_truncation, reason = "codes are bytes and levels stay below 2^15")]
#[expect(clippy::cast_possible_wrap, reason = "levels stay below 2^15")]
const fn decode_table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let (bits, negative) = match law {
            Law::Mu => (!(code as u32) & 0xFF, code & 0x80 == 0),
            Law::A => (code as u32 ^ 0x55, (code ^ 0x55) & 0x80 == 0),
        };
        let (segment, step) = (bits >> 4 & 7, bits & 15);
        // The middle of the step.
        let level = match law {
            Law::Mu => ((step * 8 + 132) << segment) - 132,
            Law::A if segment == 0 => step * 16 + 8,
            Law::A => (step * 16 + 264) << (segment - 1),
        } as i32;
        table[code] = if negative { -level } else { level } as i16;
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upper ends of the segments in units of the 14-bit (mu) and 13-bit (A) sample, as in the
    /// tables 1a and 2a of the Recommendation.
    const MU_ENDS: [i32; 8] = [0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF];
    const A_ENDS: [i32; 8] = [0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF];

    fn reference_mu(sample: i16) -> u8 {
        let (magnitude, mask) =
            if sample < 0 { (-i32::from(sample), 0x7F) } else { (i32::from(sample), 0xFF) };
        let magnitude = (magnitude >> 2).min(8_158) + 33;
        let segment = MU_ENDS.iter().position(|end| magnitude <= *end).unwrap();
        let step = magnitude >> (segment + 1) & 15;
        u8::try_from(i32::try_from(segment).unwrap() << 4 | step).unwrap() ^ mask
    }

    fn reference_a(sample: i16) -> u8 {
        let sample = i32::from(sample) >> 3;
        let (magnitude, mask) = if sample >= 0 { (sample, 0xD5) } else { (-sample - 1, 0x55) };
        let segment = A_ENDS.iter().position(|end| magnitude <= *end).unwrap();
        let step = magnitude >> segment.max(1) & 15;
        u8::try_from(i32::try_from(segment).unwrap() << 4 | step).unwrap() ^ mask
    }

    #[test]
    fn every_sample_has_the_code_of_the_segment_search() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(ulaw_encode(sample), reference_mu(sample), "mu {sample}");
            assert_eq!(alaw_encode(sample), reference_a(sample), "A {sample}");
        }
    }

    #[test]
    fn the_levels_at_the_ends_are_those_of_the_recommendation() {
        for (code, level) in
            [(0xFF, 0), (0x7F, 0), (0x00, -32_124), (0x80, 32_124), (0xFE, 8), (0x7E, -8)]
        {
            assert_eq!(ulaw_decode(code), level, "mu {code:#x}");
        }
        for (code, level) in [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0xD4, 24)] {
            assert_eq!(alaw_decode(code), level, "A {code:#x}");
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=255 {
            assert_eq!(alaw_encode(alaw_decode(code)), code);
            // Minus zero is the one code that no sample has.
            let same = if code == 0x7F { 0xFF } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), same);
        }
    }

    #[test]
    fn no_sample_is_farther_from_its_level_than_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = u32::from(sample.unsigned_abs());
            let error_mu = sample.abs_diff(ulaw_decode(ulaw_encode(sample)));
            let error_a = sample.abs_diff(alaw_decode(alaw_encode(sample)));
            let half_mu = 1 << ((magnitude + 132).min(32_767).ilog2() - 7 + 2);
            let half_a = 1 << (magnitude.max(256).ilog2() - 8 + 3);
            // The tops of the scales are clipped.
            assert!(error_mu <= half_mu || magnitude > 32_635, "mu {sample}: {error_mu}");
            assert!(error_a <= half_a, "A {sample}: {error_a}");
        }
    }
}
