// A CUDA driver without a GPU: it has the entry points that arwkv calls, in their true signatures, writes down every
// call with its numbers, and fails where a test wants it to.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace {

std::string calls;
std::map<std::string, int> failures;
int version = 13000;
int64_t current = 0;  // context of the thread; that of device d is 100 + d
size_t parameter_bytes = 0;
std::string last_parameters;
std::string last_image;

template <typename... Numbers>
int told(const char *name, Numbers... numbers) {
    calls += name;
    ((calls += " " + std::to_string(numbers)), ...);
    calls += "\n";
    auto failure = failures.find(name);
    return failure == failures.end() ? 0 : failure->second;
}

}  // namespace

extern "C" {

// What the test asks and sets.
const char *fake_calls() { return calls.c_str(); }
void fake_forget() { calls.clear(), failures.clear(), version = 13000; }
void fake_fail(const char *function, int status) { failures[function] = status; }
void fake_version(int number) { version = number; }
void fake_parameter_bytes(size_t size) { parameter_bytes = size; }
const char *fake_parameters() { return last_parameters.data(); }
const char *fake_image() { return last_image.data(); }

int cuInit(unsigned flags) { return told("cuInit", flags); }

int cuDriverGetVersion(int *number) {
    *number = version;
    return told("cuDriverGetVersion");
}

int cuGetErrorName(int status, const char **name) {
    *name = status == 218 ? "CUDA_ERROR_INVALID_PTX" : status == 1 ? "CUDA_ERROR_INVALID_VALUE" : nullptr;
    return *name ? 0 : 1;
}

int cuGetErrorString(int status, const char **text) {
    *text = status == 218 ? "a PTX JIT compilation failed" : status == 1 ? "invalid argument" : nullptr;
    return *text ? 0 : 1;
}

int cuDeviceGet(int *device, int index) {
    *device = index + 10;  // a handle need not be the index
    return told("cuDeviceGet", index);
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = reinterpret_cast<void *>(int64_t(90 + device));
    return told("cuDevicePrimaryCtxRetain", device);
}

int cuCtxPushCurrent_v2(void *context) {
    current = reinterpret_cast<int64_t>(context);
    return told("cuCtxPushCurrent_v2", current);
}

int cuCtxPopCurrent_v2(void **context) {
    *context = reinterpret_cast<void *>(current);
    current = 0;
    return told("cuCtxPopCurrent_v2");
}

int cuModuleLoadDataEx(void **module, const void *image, unsigned count, const int *options, void **values) {
    last_image.assign(static_cast<const char *>(image), strlen(static_cast<const char *>(image)));
    for (unsigned i = 0; i < count; ++i) {
        if (options[i] == 5) snprintf(static_cast<char *>(values[i]), 100, "ptxas error: a made-up one");
    }
    *module = reinterpret_cast<void *>(int64_t(1000) + current);
    size_t room = count > 1 ? reinterpret_cast<size_t>(values[1]) : 0;
    return told("cuModuleLoadDataEx", current, room);
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    *function = reinterpret_cast<void *>(int64_t(strlen(name)));
    return told("cuModuleGetFunction", reinterpret_cast<int64_t>(module), strlen(name));
}

int cuFuncGetAttribute(int *value, int attribute, void *function) {
    *value = 32;
    return told("cuFuncGetAttribute", attribute, reinterpret_cast<int64_t>(function));
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    return told("cuFuncSetAttribute", reinterpret_cast<int64_t>(function), attribute, value);
}

int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, void *stream, void **parameters,
                   void **extra) {
    last_parameters.assign(static_cast<const char *>(parameters[0]), parameter_bytes);
    return told("cuLaunchKernel", current, reinterpret_cast<int64_t>(function), grid_x, grid_y, grid_z, block_x,
                block_y, block_z, shared_bytes, reinterpret_cast<int64_t>(stream),
                reinterpret_cast<int64_t>(extra));
}

}  // extern "C"
