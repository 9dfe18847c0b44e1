/// A Leaf with a name, a kind and a place: how a model's weights are declared, cut and initialised.
#pragma once

#include <string>

#include "autograd/leaf.h"
#include "tensor/parameter_kind.h"
#include "tensor/placement.h"
#include "tensor/slice.h"

namespace moe::nn {

/// Where first values come from; element i draws from (seed, parameter name, global index i).
struct Initializer {
  enum class Kind { Zeros, Ones, Normal };
  Kind kind = Kind::Zeros;
  double deviation = 0.0;

  static Initializer zeros() { return {Kind::Zeros, 0.0}; }
  static Initializer ones() { return {Kind::Ones, 0.0}; }
  static Initializer normal(double deviation) { return {Kind::Normal, deviation}; }
};

struct ParameterSpec {
  std::string name;  ///< global and stable: the key in checkpoints and of the initial values
  Shape shape;       ///< global
  ParameterKind kind = ParameterKind::Mlp;
  Placement placement;
  Initializer initializer;
};

/// Life: declared (shape only) -> placed (which box this rank holds) -> materialised (memory, values).
/// @invariant every sharding starts from the same global values
class Parameter : public Leaf {
 public:
  explicit Parameter(ParameterSpec spec);

  const ParameterSpec& spec() const { return spec_; }
  ParameterKind kind() const { return spec_.kind; }
  /// The box this rank holds.
  const Slice& slice() const { return slice_; }
  /// f32 weights the optimizer updates; the value itself when computing in f32 (f64 in f64).
  const Tensor& master() const { return master_; }

  /// @throws ConfigError when a dim does not divide
  void place(const RoleShares& shares);
  /// Allocates and initialises. Norms, routers and biases stay f32 when the model computes in bf16.
  void materialize(DType compute_dtype, std::uint64_t seed);
  /// Allocates without initial values (a checkpoint follows).
  void allocate(DType compute_dtype);
  /// value = master, rounded to compute dtype; call after the master changed.
  void publish() const;
  /// Gives all memory back; the declaration stays.
  void release();
  bool materialized() const { return master_.defined(); }

 private:
  ParameterSpec spec_;
  Slice slice_;
  Tensor master_;
};

/// The dtype a parameter of this kind is held in for computing.
DType compute_dtype_of(ParameterKind kind, DType compute_dtype);

}  // namespace moe::nn
