# Settings of the processes that the launch scripts start; to be sourced. What is set already stays.

default() {
  if [ -z "${!1+set}" ]; then export "$1=$2"; fi
}

# Threads that spin while they wait cost twentyfold on a busy machine.
default OMP_WAIT_POLICY passive

# Open MPI refuses to run as root unless told twice; containers are root.
default OMPI_ALLOW_RUN_AS_ROOT 1
default OMPI_ALLOW_RUN_AS_ROOT_CONFIRM 1
# More ranks than cores is a test's normal case; a rank has threads, so it is not bound to one core.
default OMPI_MCA_rmaps_base_oversubscribe 1
default OMPI_MCA_hwloc_base_binding_policy none
# After SIGTERM a rank saves its state; mpirun's one second of patience would cut that short. mpirun waits this long after
# every failure too, so large models should rather be stopped with SIGUSR1, which is forwarded without a limit.
default OMPI_MCA_odls_base_sigkill_timeout 10
# One machine without a fast network is no reason to warn.
default OMPI_MCA_btl_base_warn_component_unused 0
default OMPI_MCA_btl_openib_allow_ib 0
default OMPI_MCA_btl_openib_warn_no_device_params_found 0
default OMPI_MCA_btl_openib_warn_default_gid_prefix 0
default UCX_LOG_LEVEL error

unset -f default
