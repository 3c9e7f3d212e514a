"""A BMC: sushy-tools' Redfish emulator with its fake driver, and what WAO asks beside.

No BMC has the property MachineLearningModel. WAO's sidecar MLMM answers it in front of one, from
a JSON file; the one route below stands in for MLMM. It reads the file anew at each request, so a
test changes the answer by writing the file. Both are behind the same Basic auth.

usage: redfish.py PORT MODEL.json USER PASSWORD
"""

import json
import pathlib
import sys

import bcrypt
import flask
from sushy_tools.emulator.main import app

SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"


def main() -> None:
    port, model, user, password = sys.argv[1:]
    folder = pathlib.Path(model).absolute().parent
    htpasswd = folder / "htpasswd"
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    htpasswd.write_text(f"{user}:{digest}\n")

    app.config["SUSHY_EMULATOR_FAKE_DRIVER"] = True
    app.config["SUSHY_EMULATOR_STATE_DIR"] = str(folder)
    app.config["SUSHY_EMULATOR_AUTH_FILE"] = str(htpasswd)
    app.config["SUSHY_EMULATOR_FAKE_SYSTEMS"] = [
        {"uuid": SYSTEM, "name": "machine", "power_state": "On", "nics": []}
    ]
    app.configure()

    @app.route("/redfish/v1/Systems/<system>/MachineLearningModel")
    def machine_learning_model(system: str):
        if system != SYSTEM:
            flask.abort(404)
        with open(model, encoding="utf-8") as file:
            answer = json.load(file)
        path = f"/redfish/v1/Systems/{system}/MachineLearningModel"
        return {"@odata.id": path, "@odata.type": "#MachineLearningModel", **answer}

    app.run(host="127.0.0.1", port=int(port), threaded=True)


if __name__ == "__main__":
    main()
