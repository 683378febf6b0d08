//! Colours of segments.

/// CIELab (D50) of the sRGB colour `rgb`, encoded as PS3.3 C.10.7.1.1 asks: lightness 0 to 100, and
/// a* and b* from −128 to 127, each as 0 to 65535.
///
/// Matrix: sRGB to XYZ adapted to D50 by Bradford's method (ICC's sRGB profile).
pub(crate) fn cielab(rgb: [u8; 3]) -> [u16; 3] {
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];
    let linear = rgb.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    let [x, y, z]: [f64; 3] = std::array::from_fn(|i| {
        let sum: f64 = (0..3).map(|k| TO_XYZ[i][k] * linear[k]).sum();
        let t = sum / WHITE[i];
        if t > (6.0f64 / 29.0).powi(3) {
            t.cbrt()
        } else {
            t * (29.0f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0
        }
    });
    let encode = |v: f64, low: f64, range: f64| {
        (((v - low) / range).clamp(0.0, 1.0) * 65535.0).round() as u16
    };
    [
        encode(116.0 * y - 16.0, 0.0, 100.0),
        encode(500.0 * (x - y), -128.0, 255.0),
        encode(200.0 * (y - z), -128.0, 255.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_have_their_known_cielab_values() {
        // Lightness, a* and b* under D50 as colour tables give them.
        let known = [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
            ([255, 0, 0], [54.29, 80.81, 69.89]),
            ([0, 255, 0], [87.82, -79.29, 80.99]),
            ([0, 0, 255], [29.57, 68.30, -112.03]),
        ];
        for (rgb, expected) in known {
            let [l, a, b] = cielab(rgb).map(f64::from);
            let found = [
                l / 655.35,
                a / 65535.0 * 255.0 - 128.0,
                b / 65535.0 * 255.0 - 128.0,
            ];
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 0.05,
                    "{rgb:?}: {found} {expected}"
                );
            }
        }
    }
}
