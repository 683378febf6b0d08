//! MultiR-Net: layers, blocks, nets and losses.
