//! What a picture costs its reader, in time and memory: `cargo bench --bench pictures`. The largest
//! pages that people scan, and pictures that were made to take long.
//!
//! Each is searched in a process of its own.

use std::{env, fs, path::Path, process::Command};

use custody::codes::{frames, qr::Code, scan};
use image::{GrayImage, Luma, RgbImage, imageops};

/// What says to a process which picture is its own.
const PICTURE: &str = "KEYFERRY_BENCH_PICTURE";
/// What no picture of 3,000 by 3,000 pixels may take.
const MOST_SECONDS: f64 = 2.0;
const MOST_MIB: f64 = 300.0;
/// The side of the pictures that were made to take long, in pixels.
const SIDE: u32 = 3000;

fn main() {
    if let Some(picture) = env::var_os(PICTURE) {
        return measure(picture.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, picture) in hostile() {
        let path = folder.path().join("picture.png");
        picture.save(&path).unwrap();
        let (frames, seconds, mib) = measured(name, &path);
        assert_eq!(frames, 0);
        assert!(seconds < MOST_SECONDS && mib < MOST_MIB, "{name}: {seconds:.2} s, {mib:.0} MiB");
    }
    for dots in [150, 300, 600] {
        let path = folder.path().join("page.png");
        page(dots).save(&path).unwrap();
        let (frames, ..) = measured(&format!("a page of six codes at {dots} dpi"), &path);
        assert_eq!(frames, 6);
    }
}

fn measured(name: &str, path: &Path) -> (usize, f64, f64) {
    let output = Command::new(env::current_exe().unwrap()).env(PICTURE, path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut said = said.split_whitespace();
    let mut number = || said.next().unwrap().parse::<f64>().unwrap();
    let (frames, seconds, mib) = (number() as usize, number(), number());
    println!("{name:<34} {frames} codes  {seconds:>6.3} s {mib:>6.1} MiB");
    (frames, seconds, mib)
}

fn measure(picture: &Path) {
    let frames = scan::frames_in(picture).unwrap().len();
    // What this process has had of a processor, by the kernel's count (its docs, sched-stats).
    let taken = fs::read_to_string("/proc/self/schedstat").unwrap();
    let taken: f64 = taken.split_whitespace().next().unwrap().parse().unwrap();
    let seconds = taken / 1e9;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    println!("{frames} {seconds} {}", peak / 1024.0);
}

/// Noise of single pixels and of larger ones, and corners of codes side by side, of several sizes.
fn hostile() -> Vec<(&'static str, GrayImage)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bit = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 40 & 1 == 1
    };
    let mut noise = |grain: u32| {
        let side = SIDE.div_ceil(grain);
        let grains: Vec<bool> = (0..side * side).map(|_| bit()).collect();
        drawn(|x, y| grains[(y / grain * side + x / grain) as usize])
    };
    let corners = |module: u32| {
        let away = move |at: u32| (at / module % 9).abs_diff(3);
        drawn(move |x, y| matches!(away(x).max(away(y)), 0 | 1 | 3))
    };
    vec![
        ("noise, 1 pixel", noise(1)),
        ("noise, 2 pixels", noise(2)),
        ("noise, 4 pixels", noise(4)),
        ("noise, 12 pixels", noise(12)),
        ("corners, 1 pixel a module", corners(1)),
        ("corners, 3 pixels a module", corners(3)),
        ("corners, 6 pixels a module", corners(6)),
        ("corners, 12 pixels a module", corners(12)),
    ]
}

fn drawn(dark: impl Fn(u32, u32) -> bool) -> GrayImage {
    GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([if dark(x, y) { 0 } else { 255 }]))
}

/// A sheet of A4 with six codes of 79 mm, as a scanner gives it: in colours.
fn page(dots: u32) -> RgbImage {
    let pixels = |millimetres: u32| millimetres * dots / 25;
    let mut page = RgbImage::from_pixel(pixels(210), pixels(297), image::Rgb([250, 248, 240]));
    let file = ("offer/offer.json".to_owned(), (0..1300u32).map(|n| (n * 7) as u8).collect());
    let texts = frames::frames(&[file]).unwrap();
    assert_eq!(texts.len(), 6);
    for (n, text) in (0..).zip(texts) {
        let code = image::load_from_memory(&Code::of(&text).unwrap().png().unwrap()).unwrap();
        let side = pixels(79);
        let code = imageops::resize(&code.into_rgb8(), side, side, imageops::FilterType::Triangle);
        let (x, y) = (pixels(15 + n % 2 * 89), pixels(20 + n / 2 * 88));
        imageops::overlay(&mut page, &code, x.into(), y.into());
    }
    page
}
