//! The patient at one height.

use super::patient::Anatomy;
use super::shell::Shell;
use super::spine::Spine;
use super::tubes::Tube;

/// The patient cut at one height.
pub(crate) struct Section<'a> {
    pub anatomy: &'a Anatomy,
    pub z: f32,
    pub(super) shell: Shell,
    pub(super) spine: Spine,
    pub(super) tubes: Vec<Tube>,
}

impl<'a> Section<'a> {
    pub fn new(anatomy: &'a Anatomy, z: f32) -> Self {
        Self {
            anatomy,
            z,
            shell: Shell::new(anatomy, z),
            spine: Spine::new(&anatomy.form, z),
            tubes: anatomy
                .tubes
                .iter()
                .filter(|t| t.meets(z, 4.0))
                .copied()
                .collect(),
        }
    }

    /// Radius beyond which there is only air at this height, per polar bin.
    pub fn skin(&self, bin: usize) -> f32 {
        self.shell.skin[bin]
    }
}
