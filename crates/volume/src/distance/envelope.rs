//! The lower envelope of parabolas, the core of the distance transform.

/// The lower envelope of the parabolas over one line.
#[derive(Default)]
pub(super) struct Envelope {
    /// Each parabola's position, the height of its apex, and the position from which it is lower
    /// than the one before.
    parabolas: Vec<(f64, f64, f64)>,
    /// The parabola that gave the last answer.
    current: usize,
}

impl Envelope {
    /// Builds the envelope of parabolas at rising positions, `step` apart.
    #[inline]
    pub(super) fn build(&mut self, line: impl Iterator<Item = (usize, f64)>, step: f64) {
        self.parabolas.clear();
        self.current = 0;
        let scale = 0.5 / (step * step);
        for (i, value) in line {
            let p = i as f64;
            let mut start = f64::NEG_INFINITY;
            while let Some(&(q, height, from)) = self.parabolas.last() {
                let meet = (value - height) * scale / (p - q) + (p + q) / 2.0;
                if meet > from {
                    start = meet;
                    break;
                }
                self.parabolas.pop();
            }
            self.parabolas.push((p, value, start));
        }
    }

    /// Distance in steps to the apex of the lowest parabola at `i`, and its height. Calls must be
    /// in rising order of `i`.
    #[inline]
    fn nearest(&mut self, i: usize) -> Option<(f64, f64)> {
        let i = i as f64;
        while self
            .parabolas
            .get(self.current + 1)
            .is_some_and(|next| next.2 < i)
        {
            self.current += 1;
        }
        let &(apex, height, _) = self.parabolas.get(self.current)?;
        Some((i - apex, height))
    }

    /// The envelope's height at `i`, infinite without parabolas. Calls must be in rising order, as
    /// for [`Self::nearest`].
    #[inline]
    pub(super) fn at(&mut self, i: usize, step: f64) -> f64 {
        self.nearest(i).map_or(f64::INFINITY, |(away, height)| {
            let away = away * step;
            away * away + height
        })
    }

    /// Replaces `line[i]` by the minimum over j of `line[j] + ((i - j) step)²`.
    pub(super) fn transform(&mut self, line: &mut [f32], step: f64) {
        if line.iter().all(|&v| v == 0.0) {
            return;
        }
        let values = line.iter().map(|&v| f64::from(v)).enumerate();
        self.build(values.filter(|(_, v)| v.is_finite()), step);
        let square = step * step;
        for (i, value) in line.iter_mut().enumerate() {
            if let Some((away, height)) = self.nearest(i) {
                *value = (away * away * square) as f32 + height as f32;
            }
        }
    }
}
