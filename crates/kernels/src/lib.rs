//! 3D convolution kernels for the CPU.
