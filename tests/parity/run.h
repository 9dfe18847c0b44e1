/// A fixture's model, computed by us.
#pragma once

#include "device/cpu_isa.h"
#include "parity/comparison.h"
#include "parity/fixture.h"

namespace moe::parity {

/// Logits, loss, balance loss, every gradient and the losses of the AdamW steps, with the kernels of one instruction set.
Comparison run_fixture(const Fixture& fixture, CpuIsa isa);

}  // namespace moe::parity
