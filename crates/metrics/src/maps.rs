//! Similarity of two maps.

/// Ranks from 1. Tied values share the mean of their ranks.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        first += tied.len();
    }
    ranks
}

/// Spearman's rank correlation; NaN if one of the two is constant.
pub fn rank_correlation(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        let pairs = a.iter().zip(&b);
        pairs.map(|(x, y)| f(x - mean, y - mean)).sum()
    };
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Mean structural similarity of two maps of `[rows, columns]` pixels with values in `[0, 1]`, over
/// windows of 7 × 7 pixels (Wang et al., IEEE Transactions on Image Processing 13, 2004; K1 = 0.01,
/// K2 = 0.03). NaN for smaller maps.
pub fn structural_similarity(a: &[f32], b: &[f32], [rows, columns]: [usize; 2]) -> f64 {
    const SIDE: usize = 7;
    const C: [f64; 2] = [0.01 * 0.01, 0.03 * 0.03];
    let (mut sum, mut n) = (0.0, 0usize);
    for r in 0..(rows + 1).saturating_sub(SIDE) {
        for c in 0..(columns + 1).saturating_sub(SIDE) {
            let mut m = [0.0f64; 5];
            for i in 0..SIDE * SIDE {
                let at = (r + i / SIDE) * columns + c + i % SIDE;
                let (x, y) = (f64::from(a[at]), f64::from(b[at]));
                let parts = [x, y, x * x, y * y, x * y];
                m.iter_mut().zip(parts).for_each(|(m, p)| *m += p);
            }
            let count = (SIDE * SIDE) as f64;
            let [x, y, xx, yy, xy] = m.map(|v| v / count);
            // Sample (co)variances, as usual for uniform windows.
            let sample = count / (count - 1.0);
            let [vx, vy, vxy] = [xx - x * x, yy - y * y, xy - x * y].map(|v| v * sample);
            sum += (2.0 * x * y + C[0]) * (2.0 * vxy + C[1])
                / ((x * x + y * y + C[0]) * (vx + vy + C[1]));
            n += 1;
        }
    }
    sum / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_goes_by_ranks() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 30.0], &[0.1, 0.5, 0.6]), 1.0);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        // Ranks 1.5, 1.5, 3 and 1, 2, 3: 1.5 / √(1.5 · 2).
        let tied = rank_correlation(&[1.0, 1.0, 3.0], &[1.0, 2.0, 3.0]);
        assert!((tied - 1.5 / 3.0f64.sqrt()).abs() < 1e-12);
        assert!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn similarity_is_one_for_the_same_map_only() {
        let map = |f: fn(usize) -> f32| (0..72).map(f).collect::<Vec<_>>();
        let similarity = |a: &[f32], b: &[f32]| structural_similarity(a, b, [9, 8]);
        let a = map(|i| (i % 5) as f32 / 5.0);
        let b = map(|i| (i % 7) as f32 / 7.0);
        assert!((similarity(&a, &a) - 1.0).abs() < 1e-12);
        assert!(similarity(&a, &b) < 0.5);
        assert!(similarity(&map(|_| 0.0), &map(|_| 1.0)) < 0.01);
    }
}
