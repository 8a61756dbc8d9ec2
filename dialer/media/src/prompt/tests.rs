use super::*;

/// A sine of amplitude 10000 at 16 kHz.
#[expect(clippy::cast_possible_truncation, reason = "at most 10000 in magnitude")]
fn sine_16k(freq: f64) -> Vec<i16> {
    let step = freq * std::f64::consts::TAU / 16_000.0;
    (0..16_000_u32).map(|index| (10_000.0 * (step * f64::from(index)).sin()) as i16).collect()
}

/// Root of the mean square over the middle, where the filter has settled.
fn level(samples: &[i16]) -> f64 {
    let middle = &samples[100..samples.len() - 100];
    let sum: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / f64::from(u32::try_from(middle.len()).unwrap())).sqrt()
}

#[test]
fn frames_hold_the_samples_in_order_and_end_in_silence() {
    let samples: Vec<i16> = (0..250).map(|index| index * 100).collect();
    let prompt = Prompt::from_samples(&samples, 8_000).unwrap();
    assert_eq!(prompt.duration(), Duration::from_millis(40));
    for codec in Codec::ALL {
        let frames = prompt.frames(codec);
        assert_eq!((frames.codec(), frames.count()), (codec, 2));
        for (index, sample) in samples.iter().enumerate() {
            assert_eq!(frames.get(index / 160).unwrap()[index % 160], codec.encode(*sample));
        }
        assert!(frames.get(1).unwrap()[90..].iter().all(|byte| *byte == codec.encode(0)));
        assert_eq!(frames.get(2), None);
        assert_eq!(frames.get(usize::MAX), None);
    }
}

#[test]
fn samples_that_make_no_prompt_are_refused() {
    assert_eq!(Prompt::from_samples(&[], 8_000).unwrap_err(), PromptError::Empty);
    assert_eq!(Prompt::from_samples(&[0], 44_100).unwrap_err(), PromptError::Rate(44_100));
    let long = vec![0; 8_000 * 601];
    assert_eq!(Prompt::from_samples(&long, 8_000).unwrap_err(), PromptError::TooLong(601));
    assert!(Prompt::from_samples(&long, 16_000).is_ok());
}

#[test]
fn halving_the_rate_keeps_speech_and_takes_away_what_would_fold_back() {
    let reference = 10_000.0 / std::f64::consts::SQRT_2;
    for (freq, least, most) in [
        (300.0, 0.98, 1.02),
        (1_000.0, 0.98, 1.02),
        (2_500.0, 0.97, 1.02),
        (4_400.0, 0.0, 0.001),
        (6_000.0, 0.0, 0.001),
    ] {
        let halved = halve(&sine_16k(freq));
        assert_eq!(halved.len(), 8_000);
        let gain = level(&halved) / reference;
        assert!((least..=most).contains(&gain), "{freq} Hz: {gain}");
    }
}

#[test]
fn the_loudest_noise_does_not_overflow_the_filter() {
    let worst: Vec<i16> =
        (0..200).map(|index| if index % 3 == 0 { i16::MIN } else { i16::MAX }).collect();
    assert_eq!(halve(&worst).len(), 100);
    assert_eq!(halve(&[i16::MIN; 200])[50], i16::MIN);
    assert_eq!(LOW_PASS[..23].iter().sum::<i32>() * 2 + LOW_PASS[23], 32_768);
    assert!(LOW_PASS[..23].iter().map(|tap| tap.abs()).sum::<i32>() * 2 + LOW_PASS[23] < 1 << 16);
}

#[test]
fn a_tone_has_its_length_frequency_and_loudness() {
    let samples = tone(440, 1_000);
    assert_eq!(samples.len(), 8_000);
    let crossings = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    assert!((438..=441).contains(&crossings), "{crossings}");
    // A tenth of the power of a full sine: 10 dB below it.
    let full = 32_767.0 / std::f64::consts::SQRT_2;
    let decibels = 20.0 * (level(&samples) / full).log10();
    assert!((-10.2..=-9.8).contains(&decibels), "{decibels}");
    assert_eq!((samples[0], samples[7_999]), (0, 0));
    assert!(tone(440, 0).is_empty());
    assert_eq!(tone(u16::MAX, 1).len(), 8);
}

#[test]
fn a_prompt_read_from_a_wav_file_sounds_like_the_file() {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let samples = tone(1_000, 100);
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.set_position(0);
    let mut reader = hound::WavReader::new(file).unwrap();
    let read: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let frames =
        Prompt::from_samples(&read, reader.spec().sample_rate).unwrap().frames(Codec::Pcma);
    for (index, sample) in samples.iter().enumerate() {
        let heard = Codec::Pcma.decode(frames.get(index / 160).unwrap()[index % 160]);
        assert!(heard.abs_diff(*sample) <= 256, "{sample} became {heard}");
    }
}
