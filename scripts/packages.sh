# What Pomona needs of Debian 12 or Ubuntu 24.04, sourced by the other scripts.

# To compile: the compiler, the build tools and the libraries of README.md.
BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config
  libjpeg-dev libturbojpeg0-dev libpng-dev libwebp-dev libopenblas-dev liblapacke-dev libzstd-dev libjansson-dev libssl-dev
  libprotobuf-c-dev protobuf-c-compiler libcurl4-openssl-dev libexpat1-dev libhdf5-dev
  opencl-c-headers ocl-icd-opencl-dev libclblast-dev)
# To test: CMocka, an OpenCL device on any processor, and Python for the readers and judges that are other people's.
TEST_PACKAGES=(libcmocka-dev pocl-opencl-icd python3 python3-venv
  swift-proxy swift-account swift-container swift-object)
