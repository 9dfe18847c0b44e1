/// MPI's C interface, without the C++ bindings that MPI-3 removed. Included by this folder's
/// sources only.
#pragma once

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
