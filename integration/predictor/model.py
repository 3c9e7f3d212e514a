"""Power models that MLServer serves over the V2 protocol, each by its model-settings.json.

The input is one tensor "predict-prob" of shape [n, 3]: CPU in percent, inlet temperature in °C,
differential pressure in Pa. The output is "predict" of shape [n, 1], in watts. `parameters.extra`
says how:

  {"linear": [100, 2, 3, 5]}   100 + 2 * CPU + 3 * inlet temperature + 5 * pressure
  {"curve": [86, 89.4, ...]}   watts at 0, 10, ... 100 % CPU, straight between them; the rest is
                               ignored, and what lies outside stays at the ends
"""

import numpy
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class PowerModel(MLModel):
    async def load(self) -> bool:
        extra = self.settings.parameters.extra
        self._linear = extra.get("linear")
        self._curve = extra.get("curve")
        return (self._linear is None) != (self._curve is None)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(numpy.float64)
        if rows.ndim != 2 or rows.shape[1] != 3:
            raise InferenceError(f"the shape is {list(rows.shape)}, not [n, 3]")
        if self._linear is not None:
            base, *factors = self._linear
            watts = base + rows @ numpy.array(factors, dtype=numpy.float64)
        else:
            loads = numpy.linspace(0, 100, len(self._curve))
            watts = numpy.interp(rows[:, 0], loads, self._curve)
        output = NumpyCodec.encode_output("predict", watts.reshape(-1, 1))
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=[output]
        )
