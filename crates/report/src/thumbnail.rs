//! Small pictures for lists of scans.

use crate::Result;
use crate::plane::{Plane, View, WorldBox, busiest};
use crate::svg::encode_png;
use multirnet_volume::Volume;

/// Colour that tints lesions: vermilion of the palette of Okabe and Ito, which people with any colour
/// vision tell from grey.
const LESION: [f64; 3] = [213.0, 94.0, 0.0];
const MARGIN_MM: f64 = 8.0;

/// The axial slice with most lesion, or else with most lung, in at most `pixels` pixels along each
/// side, as PNG. Lesions are tinted. `scan` is in HU; all lie on one grid.
///
/// # Errors
/// `Mismatch` if the grids differ, `Draw` if the picture cannot be encoded.
pub fn thumbnail_png(
    scan: &Volume<f32>,
    lungs: &Volume<u8>,
    lesions: &Volume<u8>,
    pixels: usize,
) -> Result<Vec<u8>> {
    scan.check_same_grid(lungs)?;
    scan.check_same_grid(lesions)?;
    let area = WorldBox::around(lungs, MARGIN_MM);
    let middle = std::array::from_fn(|k| (area.min[k] + area.max[k]) / 2.0);
    let centre = busiest(lesions)
        .or_else(|| busiest(lungs))
        .unwrap_or(middle);
    let plane = Plane::new(View::Axial, centre, &area, pixels, pixels)?;
    let grey = plane.grey(scan);
    let share = plane.share(lesions, |v| v != 0)?;
    let rgb: Vec<u8> = grey
        .iter()
        .zip(&share)
        .flat_map(|(&g, &s)| {
            let alpha = 0.55 * f64::from(s);
            LESION.map(|c| (f64::from(g) * (1.0 - alpha) + c * alpha).round() as u8)
        })
        .collect();
    encode_png(plane.width, plane.height, png::ColorType::Rgb, &rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn lesions_are_tinted_and_the_rest_is_grey() {
        let grid = Geometry::axial([10, 80, 100], [4.0, 2.0, 2.0]).unwrap();
        let lungs = Volume::from_fn(grid, |[_, y, x]| {
            u8::from((20..60).contains(&y) && (10..90).contains(&x))
        });
        let lesions = Volume::from_fn(grid, |[z, y, x]| {
            u8::from((4..7).contains(&z) && (30..45).contains(&y) && (20..40).contains(&x))
        });
        let scan = lungs.map(|v| if v == 1 { -850.0 } else { 40.0 });
        let png = thumbnail_png(&scan, &lungs, &lesions, 160).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png))
            .read_info()
            .unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert!(info.width <= 160 && info.height <= 160 && info.width.max(info.height) == 160);
        let tinted = bytes.chunks_exact(3).filter(|p| p[0] > p[2] + 30).count();
        let grey = bytes
            .chunks_exact(3)
            .filter(|p| p[0] == p[1] && p[1] == p[2])
            .count();
        let all = (info.width * info.height) as usize;
        assert!(tinted > all / 40 && grey > all / 2, "{tinted} {grey} {all}");
        let clear = thumbnail_png(&scan, &lungs, &lesions.map(|_| 0), 160).unwrap();
        assert_ne!(clear, png);
    }
}
