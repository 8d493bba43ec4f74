// How many threads the kernels run on: what torch.set_num_threads last said, since both use one OpenMP runtime.
#include <omp.h>

extern "C" int affina_threads() { return omp_get_max_threads(); }
