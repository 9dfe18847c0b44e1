/// Is a person watching standard output, and how wide is the screen?
#pragma once

namespace moe::metrics {

struct Terminal {
  bool present = false;
  int columns = 100;
};

/// Looks through launchers: Open MPI gives every rank a pseudo-terminal of its own even when its output
/// ends in a file, so under a launcher the launcher's standard output decides.
Terminal standard_output_terminal();

}  // namespace moe::metrics
