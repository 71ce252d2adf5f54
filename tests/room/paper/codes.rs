//! QR codes and typed lines, without a ceremony.

use std::{fs, path::Path, process::Command};

use custody::codes::{
    frames::{self, NamedFile, ScannedFrames},
    lines::{self, TypedLines},
    qr::Code,
    scan,
};
use record::rule::Rule;

/// Bytes that look random and are the same in every run.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(length)
    .collect()
}

fn files(sizes: &[usize]) -> Vec<NamedFile> {
    let one =
        |(n, size): (usize, &usize)| (format!("offer/file-{n}.bin"), noise(*size, 7 + n as u32));
    sizes.iter().enumerate().map(one).collect()
}

fn read(texts: impl IntoIterator<Item = impl AsRef<str>>) -> record::Result<Vec<NamedFile>> {
    let mut read = ScannedFrames::default();
    for text in texts {
        read.add(text.as_ref())?;
    }
    read.finish()
}

/// What Debian's zbar reads in a picture.
pub fn zbar(picture: &Path) -> Vec<String> {
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable"])
        .arg(picture)
        .output()
        .expect("zbarimg, of Debian's zbar-tools");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn frames_come_in_any_order_and_a_missing_one_is_named() {
    let all = files(&[3000, 1, 0, 900]);
    let texts = frames::frames(&all).unwrap();
    assert!(texts.len() > 8);
    // Backwards, and every one twice.
    let shuffled = texts.iter().rev().chain(&texts);
    assert_eq!(read(shuffled).unwrap(), all);
    for missing in 0..texts.len() {
        let rest = texts.iter().enumerate().filter(|(n, _)| *n != missing);
        let error = read(rest.map(|(_, text)| text)).unwrap_err();
        assert_eq!(error.rule(), Some(Rule::FrameMissing));
        let named = format!("no frame {} of the {}", missing + 1, texts.len());
        assert!(error.to_string().contains(&named), "{error}");
    }
    // Two payloads are told apart, and the one that is not whole is named.
    let other = frames::frames(&files(&[700])).unwrap();
    let both = read(texts.iter().chain(&other)).unwrap();
    assert_eq!(both.len(), all.len() + 1);
    let error = read(texts.iter().chain(&other[1..])).unwrap_err();
    assert!(error.to_string().contains("no frame 1 of the 4"), "{error}");
}

#[test]
fn no_changed_frame_is_taken() {
    let texts = frames::frames(&files(&[600])).unwrap();
    for (n, text) in texts.iter().enumerate() {
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let mut all = texts.clone();
            all[n] = String::from_utf8(changed).unwrap();
            let rule = read(&all).unwrap_err().rule();
            // Behind the last slash is what the frame carries.
            if at > text.rfind('/').unwrap() && n > 0 {
                assert_eq!(rule, Some(Rule::FrameHash), "{n} {at}");
            }
            // Nor beside the right ones, where it could only replace one.
            all.push(text.clone());
            assert!(read(&all).is_err(), "{n} {at}");
        }
        for cut in 0..text.len() {
            assert!(read([&text[..cut]]).is_err());
        }
    }
    for text in [
        "",
        "KF1/",
        "KF1/AAAAAAAA/1-1/",
        "KF1/AAAAAAAA/0-1/AA",
        "KF1/AAAAAAAA/1-641/AA",
        "KF1/AAAAAAAA/01-1/AA",
        "http://example.org",
        "KF1/////",
        "KF1/ÄÄÄÄ/1-1/AA",
    ] {
        assert_eq!(read([text]).unwrap_err().rule(), Some(Rule::FrameFormat), "{text}");
    }
    let ways_out = ["../x", "/x", "a/b/c", ".x", "a/.x", "", "a b", "a\\b"];
    for name in ways_out {
        let named = vec![(name.to_owned(), vec![])];
        assert!(frames::frames(&named).is_err(), "{name}");
    }
    assert!(frames::frames(&files(&[200_000])).is_err());
}

#[test]
fn codes_are_read_by_two_decoders() {
    let folder = tempfile::tempdir().unwrap();
    let texts = frames::frames(&files(&[4000])).unwrap();
    for (n, text) in texts.iter().enumerate() {
        let picture = folder.path().join(format!("{n}.png"));
        fs::write(&picture, Code::of(text).unwrap().png().unwrap()).unwrap();
        assert_eq!(scan::frames_in(&picture).unwrap(), *std::slice::from_ref(text));
        assert_eq!(zbar(&picture), *std::slice::from_ref(text));
    }
    // What is no picture, or none of ours, is refused.
    for (name, bytes) in [
        ("text.png", &b"no picture"[..]),
        ("cut.png", &fs::read(folder.path().join("0.png")).unwrap()[..900]),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(scan::frames_in(&path).unwrap_err().rule(), Some(Rule::FramePicture));
    }
    let other = folder.path().join("other.png");
    fs::write(&other, Code::of("HTTPS://EXAMPLE.ORG").unwrap().png().unwrap()).unwrap();
    assert!(scan::frames_in(&other).unwrap().is_empty());
    // A picture without one is left out; nothing but such is refused.
    let to = folder.path().join("read");
    let all = |others: &[&str]| {
        let numbered = (0..texts.len()).map(|n| format!("{n}.png"));
        let named = numbered.chain(others.iter().map(|other| (*other).to_owned()));
        named.map(|name| folder.path().join(name)).collect::<Vec<_>>()
    };
    assert_eq!(scan::scan(&[other], &to).err().unwrap().rule(), Some(Rule::FramePicture));
    assert_eq!(
        scan::scan(&all(&["text.png"]), &to).err().unwrap().rule(),
        Some(Rule::FramePicture)
    );
    assert!(!to.exists());
    scan::scan(&all(&["other.png"]), &to).unwrap();
    assert!(to.is_dir());
}

/// How a code is photographed.
struct Photograph {
    /// In degrees: of the paper, of the camera's tilt, and of the axis around which it is tilted.
    turn: f64,
    tilt: f64,
    axis: f64,
    /// Standard deviations: of the blur in pixels, of the noise in shades of 256.
    blur: f32,
    noise: f64,
}

/// The pixels of a module in a photograph.
const MODULE: f64 = 5.0;

/// A code as a camera sees it from two of its sides away.
fn photograph(text: &str, how: &Photograph, random: &mut impl FnMut() -> f64) -> image::GrayImage {
    let code = image::load_from_memory(&Code::of(text).unwrap().png().unwrap()).unwrap();
    let code = code.into_luma8();
    // As it is printed: 8 pixels a module, with its light margin.
    let side = f64::from(code.width()) / 8.0 * MODULE;
    let shade = |u: f64, v: f64| {
        let at = |x: f64| ((x + side / 2.0) / MODULE * 8.0).floor();
        let inside = |x: f64| (0.0..f64::from(code.width())).contains(&x);
        let dark =
            inside(at(u)) && inside(at(v)) && code.get_pixel(at(u) as u32, at(v) as u32).0[0] == 0;
        if dark { 40.0 } else { 225.0 }
    };
    let turned = |(x, y): (f64, f64), degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        (x * cos + y * sin, y * cos - x * sin)
    };
    let (away, (sin, cos)) = (2.0 * side, how.tilt.to_radians().sin_cos());
    let point = |x: f64, y: f64| {
        let (along, across) = turned((x, y), how.axis);
        let across = across * away / (away * cos - across * sin);
        let seen = (along * (away + across * sin) / away, across);
        let (u, v) = turned(turned(seen, -how.axis), how.turn);
        shade(u, v)
    };
    let size = (1.5 * side + 40.0) as u32;
    let sharp = image::GrayImage::from_fn(size, size, |x, y| {
        let (x, y) = (f64::from(x) - f64::from(size) / 2.0, f64::from(y) - f64::from(size) / 2.0);
        let four = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        let sum: f64 = four.iter().map(|(dx, dy)| point(x + dx, y + dy)).sum();
        image::Luma([(sum / 4.0) as u8])
    });
    let mut seen = match how.blur > 0.1 {
        true => image::imageops::blur(&sharp, how.blur),
        false => sharp,
    };
    for pixel in seen.pixels_mut() {
        // Nearly normal: twelve of the same chance (Irwin-Hall).
        let normal = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        pixel.0[0] = (f64::from(pixel.0[0]) + how.noise * normal).clamp(0.0, 255.0) as u8;
    }
    seen
}

fn save_jpeg(picture: &image::GrayImage, path: &Path) {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 60);
    picture.write_with_encoder(encoder).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Turned by 0 to 90 degrees, tilted by up to 15, blurred by up to 1.5 pixels, noisy, JPEG 60.
#[test]
fn photographs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let texts = frames::frames(&files(&[5000])).unwrap();
    let mut state = 0x4b65_7966_6572_7279_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut read, mut by_zbar) = (0, 0);
    for (n, text) in texts.iter().cycle().take(24).enumerate() {
        let how = Photograph {
            turn: 90.0 * random(),
            tilt: 15.0 * random(),
            axis: 360.0 * random(),
            blur: 1.5 * random() as f32,
            noise: 12.0 * random(),
        };
        let path = folder.path().join(format!("{n}.jpg"));
        save_jpeg(&photograph(text, &how, &mut random), &path);
        let text = std::slice::from_ref(text);
        read += usize::from(scan::frames_in(&path).unwrap() == *text);
        by_zbar += usize::from(zbar(&path) == *text);
    }
    println!("counted: {read} of 24 photographs read; by zbar {by_zbar}");
    assert!(read >= 22, "{read} of 24; zbar {by_zbar}");
}

/// What takes long to search shows no code: noise, and a page full of corners.
#[test]
fn no_picture_takes_long() {
    let folder = tempfile::tempdir().unwrap();
    let bits = noise(3000 * 3000 / 8, 3);
    let bit = |x: u32, y: u32| {
        let at = (y * 3000 + x) as usize;
        bits[at / 8] >> (at % 8) & 1 == 1
    };
    let corner = |x: u32, y: u32, module: u32| {
        let edge = |at: u32| (at / module % 9).abs_diff(3);
        let ring = edge(x).max(edge(y));
        ring == 3 || ring < 2
    };
    type Drawn<'a> = &'a dyn Fn(u32, u32) -> bool;
    let pictures: [(&str, Drawn); 4] = [
        ("noise", &bit),
        ("small", &|x, y| corner(x, y, 1)),
        ("corners", &|x, y| corner(x, y, 3)),
        ("large", &|x, y| corner(x, y, 20)),
    ];
    for (name, dark) in pictures {
        let path = folder.path().join(format!("{name}.png"));
        let shade = |x, y| image::Luma([if dark(x, y) { 0 } else { 255 }]);
        image::GrayImage::from_fn(3000, 3000, shade).save(&path).unwrap();
        let begun = std::time::Instant::now();
        assert!(scan::frames_in(&path).unwrap().is_empty());
        // The bench says how long; here nothing but that it does not hang, on any machine.
        println!("counted: {name} in {:?}", begun.elapsed());
        assert!(begun.elapsed().as_secs() < 30, "{name}: {:?}", begun.elapsed());
    }
}

/// A page of [`LineVersion::Hash`], as Keyferry wrote it before: the bytes n * 7 of n from 0 to 67.
const OLD_PAGE: [&str; 5] = [
    "ABCA ABYO CUOC GKRR HA7U MTKU  HVGY",
    "LNRG S4DX P2CY ZE42 UGUK 7NV5  SUEQ",
    "YTF5 FWPA 47XP L7AD BIIR QHZG  UIFP",
    "FU2D WQSJ KBLV 4ZLM ON5I DCEP  GLSG",
    "S2O2 JK5S XHAM PTWV AYR4 XUYA  ITSY",
];

/// The same bytes as Keyferry writes them now; the check computed by other means, by the text of
/// docs/formats.md.
const PAGE: [&str; 5] = [
    "ABCA ABYO CUOC GKRR HA7U MTKU  AE4W",
    "LNRG S4DX P2CY ZE42 UGUK 7NV5  FQZH",
    "YTF5 FWPA 47XP L7AD BIIR QHZG  7SL6",
    "FU2D WQSJ KBLV 4ZLM ON5I DCEP  CXFK",
    "S2O2 JK5S XHAM PTWV AYR4 XUYA  CZ65",
];

/// Types lines, and gives what came out, with the lines that were restored.
fn type_all<S: AsRef<str>>(page: &[S]) -> record::Result<(Vec<u8>, Vec<usize>)> {
    let mut typed = TypedLines::default();
    for (n, line) in page.iter().enumerate() {
        typed.take(line.as_ref())?;
        assert_eq!(typed.is_whole(), n + 1 == page.len());
    }
    typed.finish().map(|typed| (typed.bytes.to_vec(), typed.restored))
}

fn page_of(bytes: &[u8]) -> Vec<String> {
    lines::lines(bytes).unwrap().iter().map(|line| line.to_string()).collect()
}

#[test]
fn a_slip_is_restored_in_its_line_and_no_more() {
    let bytes = noise(68, 3);
    let page = page_of(&bytes);
    assert_eq!(page.len(), 5);
    assert_eq!(page[0].len(), "ABCD EFGH IJKL MNOP QRST UVWX  2345".len());
    assert_eq!(type_all(&page).unwrap(), (bytes.clone(), vec![]));
    // As people type: the number before it, any case, other groups, and digits for the letters that
    // look like them.
    let kindly = page.iter().enumerate().map(|(n, line)| {
        let line = line.to_lowercase().replace("  ", "-").replace(' ', "");
        format!("{}. {}", n + 1, line.replace('o', "0").replace('i', "1").replace('b', "8"))
    });
    assert_eq!(type_all(&kindly.collect::<Vec<_>>()).unwrap(), (bytes.clone(), vec![]));
    let with = |wrong: usize, places: &[usize], mark: Option<char>| {
        let mut page = page.clone();
        let mut line: Vec<char> = page[wrong].chars().collect();
        for at in places {
            line[*at] = mark.unwrap_or(if line[*at] == 'Q' { 'R' } else { 'Q' });
        }
        page[wrong] = line.into_iter().collect();
        type_all(&page)
    };
    let written: Vec<usize> = page[0].match_indices(|c| c != ' ').map(|(at, _)| at).collect();
    for wrong in 0..page.len() {
        let restored = (bytes.clone(), vec![wrong + 1]);
        for (n, at) in written.iter().enumerate() {
            let other = written[(n + 11) % written.len()];
            let third = written[(n + 17) % written.len()];
            assert_eq!(with(wrong, &[*at], None).unwrap(), restored);
            for mark in ['?', '9', 'Ä'] {
                assert_eq!(with(wrong, &[*at], Some(mark)).unwrap(), restored);
                assert_eq!(with(wrong, &[*at, other], Some(mark)).unwrap(), restored);
            }
            for (places, mark) in [(&[*at, other][..], None), (&[*at, other, third], Some('?'))] {
                let error = with(wrong, places, mark).unwrap_err();
                assert_eq!(error.rule(), Some(Rule::LineCheck));
                assert!(error.to_string().contains(&format!("line {}", wrong + 1)), "{error}");
            }
        }
    }
    // A line of another place, or left out.
    let swapped = [0, 2, 1, 3, 4].map(|n| page[n].clone());
    assert!(type_all(&swapped).unwrap_err().to_string().contains("line 2"));
    // Lines of two pages: each fits, the whole does not, whatever was restored.
    let mut mixed = page.clone();
    mixed[3] = page_of(&noise(68, 5))[3].replacen(|c| c != ' ', "?", 1);
    assert_eq!(type_all(&mixed).unwrap_err().rule(), Some(Rule::LineFormat));
}

/// A page from before is read as ever, and nothing in it is restored.
#[test]
fn lines_of_an_old_page_are_read_and_not_repaired() {
    let bytes: Vec<u8> = (0..68).map(|n| (n * 7) as u8).collect();
    assert_eq!(type_all(&OLD_PAGE).unwrap(), (bytes.clone(), vec![]));
    assert_eq!(page_of(&bytes), PAGE);
    for (wrong, line) in OLD_PAGE.iter().enumerate() {
        for at in (0..line.len()).filter(|at| line.as_bytes()[*at] != b' ') {
            for mark in ["Q", "R", "?"].iter().filter(|mark| !line[at..].starts_with(**mark)) {
                let mut page = OLD_PAGE.map(str::to_owned);
                page[wrong].replace_range(at..=at, mark);
                let error = type_all(&page).unwrap_err();
                // In the first line nobody can tell yet what it is; what would then be restored is
                // of another page.
                let known = [Some(Rule::LineCheck), Some(Rule::LineFormat)];
                assert!(known[..1 + usize::from(wrong == 0)].contains(&error.rule()), "{error}");
            }
        }
    }
    // One page is of one version.
    let mut mixed = OLD_PAGE.map(str::to_owned);
    mixed[4] = page_of(&bytes)[4].clone();
    assert_eq!(type_all(&mixed).unwrap_err().rule(), Some(Rule::LineCheck));
}

#[test]
fn whatever_is_typed_has_an_answer() {
    let page = page_of(&noise(68, 3));
    let mut typed = TypedLines::default();
    for text in [
        "",
        "x",
        &"Q".repeat(5000),
        "ÄÄÄÄ ÄÄÄÄ ÄÄÄÄ ÄÄÄÄ ÄÄÄÄ ÄÄÄÄ ÄÄÄÄ",
        "9999 9999 9999 9999 9999 9999 9999",
    ] {
        assert_eq!(typed.take(text).unwrap_err().rule(), Some(Rule::LineCheck), "{text}");
    }
    // The same line can be typed again.
    assert_eq!(typed.take(&page[0]).unwrap(), 0);
    assert_eq!((typed.next(), typed.count()), (2, Some(5)));
    for length in [0, 1, 8, 9, 10, 300, lines::MOST] {
        let bytes = noise(length, 9);
        assert_eq!(type_all(&page_of(&bytes)).unwrap(), (bytes, vec![]));
    }
    assert!(lines::lines(&noise(lines::MOST + 1, 1)).is_err());
}

/// Half blocks as a camera sees them on a screen: `dark` is the terminal's background.
fn photographed(screen: &str, dark: bool, picture: &Path) {
    const SCALE: u32 = 6;
    let rows: Vec<Vec<char>> = screen.lines().map(|line| line.chars().collect()).collect();
    let (width, height) = (rows[0].len() as u32, 2 * rows.len() as u32);
    let drawn = |x: u32, y: u32| match (rows[(y / 2) as usize][x as usize], y % 2) {
        ('\u{2588}', _) | ('\u{2580}', 0) | ('\u{2584}', 1) => true,
        (' ' | '\u{2580}' | '\u{2584}', _) => false,
        (other, _) => panic!("{other:?}"),
    };
    // What is drawn has the foreground's colour.
    let light = |x: u32, y: u32| drawn(x, y) == dark;
    image::GrayImage::from_fn(width * SCALE, height * SCALE, |x, y| {
        image::Luma([if light(x / SCALE, y / SCALE) { 235 } else { 20 }])
    })
    .save(picture)
    .unwrap();
}

#[test]
fn a_screen_is_read_on_light_and_on_dark_background() {
    let folder = tempfile::tempdir().unwrap();
    for text in frames::frames(&files(&[900])).unwrap() {
        let code = Code::of(&text).unwrap();
        for dark in [true, false] {
            // A JPEG, as a telephone makes it.
            let picture = folder.path().join("screen.jpg");
            photographed(&code.terminal(dark), dark, &picture);
            assert_eq!(zbar(&picture), *std::slice::from_ref(&text));
            assert_eq!(scan::frames_in(&picture).unwrap(), *std::slice::from_ref(&text));
        }
    }
}

/// Whatever a picture shows, or whatever its file says: an answer, and no panic.
#[test]
fn no_picture_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let text = &frames::frames(&files(&[40])).unwrap()[0];
    let png = Code::of(text).unwrap().png().unwrap();
    let good = image::load_from_memory(&png).unwrap().into_luma8();
    let (width, height) = good.dimensions();
    let path = folder.path().join("picture.png");
    let random = noise(40_000, 11);
    let mut random = random.iter().cycle().copied();
    let mut some = |most: u32| {
        let number = u32::from(random.next().unwrap()) << 8 | u32::from(random.next().unwrap());
        number % most.max(1)
    };
    let mut read = 0;
    // Painted, smeared and cut.
    for _ in 0..300 {
        let mut picture = good.clone();
        for _ in 0..1 + some(6) {
            let (x, y, colour) = (some(width), some(height), some(256) as u8);
            let (wide, high) = (some(width / 2), some(height / 2));
            for (x, y) in (x..width.min(x + wide))
                .flat_map(|x| (y..height.min(y + high)).map(move |y| (x, y)))
            {
                let old = picture.get_pixel(x, y).0[0];
                picture.put_pixel(x, y, image::Luma([if colour % 3 == 0 { !old } else { colour }]));
            }
        }
        let (cut_x, cut_y) = (some(width / 3), some(height / 3));
        let cut = image::imageops::crop_imm(&picture, cut_x, cut_y, width - cut_x, height - cut_y);
        cut.to_image().save(&path).unwrap();
        if let Ok(frames) = scan::frames_in(&path) {
            read += usize::from(frames == *std::slice::from_ref(text));
        }
    }
    assert!(read > 0, "some were still read");
    // A file that was changed or cut.
    for _ in 0..600 {
        let mut bytes = png.clone();
        for _ in 0..1 + some(4) {
            let at = some(bytes.len() as u32) as usize;
            bytes[at] ^= 1 << some(8);
        }
        bytes.truncate(bytes.len() - some(bytes.len() as u32) as usize * usize::from(some(4) == 0));
        fs::write(&path, bytes).unwrap();
        let _ = scan::frames_in(&path);
    }
    // One that claims to be a giant.
    let mut giant = png.clone();
    giant[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    fs::write(&path, giant).unwrap();
    assert_eq!(scan::frames_in(&path).unwrap_err().rule(), Some(Rule::FramePicture));
}
