# At least the processor; OpenCL devices are as they are here.
pomona devices | grep -v '^opencl'
pomona devices --help | head -1
pomona devices extra
