//! Ways through a net's tensors by name.

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;

/// Whether a module adds its name to a tensor's path. An enum's variant does not, so that a tensor has
/// the same name whatever the norm. The net within a [`System`] does not either.
fn is_step(name: &str, container: &str) -> bool {
    let variant = container.starts_with("Enum");
    let system = name == "net" && container == "Struct:System";
    !variant && !system
}

/// Collects what `visit` makes of each tensor's name, id, shape and values.
pub(super) struct Collect<T, F> {
    pub path: Vec<String>,
    pub visit: F,
    pub found: Vec<T>,
}

impl<T, F> ModuleVisitor for Collect<T, F>
where
    F: FnMut(String, ParamId, Vec<usize>, &mut dyn FnMut() -> Vec<f32>) -> T,
{
    fn enter_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        let mut values = || param.val().into_data().iter::<f32>().collect();
        let item = (self.visit)(self.path.join("."), param.id, shape, &mut values);
        self.found.push(item);
    }
}

/// Replaces the tensors that `values` names.
pub(super) struct Replace {
    pub path: Vec<String>,
    pub values: BTreeMap<String, Vec<f32>>,
    pub device: Device,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.pop();
        }
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let shape = param.lazy_shape();
        let id = param.id;
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        param.transform_for_load(tensor, id)
    }
}
