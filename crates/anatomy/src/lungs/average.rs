//! Sums over boxes.

/// Replaces each value by the sum over `half` neighbours to either side along `axis`.
pub(super) fn box_sum(values: &mut [f32], shape: [usize; 3], axis: usize, half: usize) {
    let stride: usize = shape[axis + 1..].iter().product();
    let n = shape[axis];
    let mut line = vec![0.0f64; n + 1];
    for outer in values.chunks_exact_mut(n * stride) {
        for inner in 0..stride {
            for i in 0..n {
                line[i + 1] = line[i] + f64::from(outer[i * stride + inner]);
            }
            for i in 0..n {
                let (from, to) = (i.saturating_sub(half), (i + half + 1).min(n));
                outer[i * stride + inner] = (line[to] - line[from]) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_cut_at_the_border() {
        let mut values = vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        box_sum(&mut values, [2, 1, 3], 2, 1);
        assert_eq!(values, [3.0, 6.0, 5.0, 30.0, 60.0, 50.0]);
        box_sum(&mut values, [2, 1, 3], 0, 5);
        assert_eq!(values, [33.0, 66.0, 55.0, 33.0, 66.0, 55.0]);
    }
}
