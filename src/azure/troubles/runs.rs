//! Bulk runs of Prompt flow, and their lines: codes from its source and from recorded traffic of its tests.

use super::row::{
    ANY,
    Blame::Content,
    CONNECTIONS,
    Place::{Line, Run},
    ROLES, ROW, Trouble,
    Who::Author,
    codes, texts,
};

pub(super) const ROWS: &[Trouble] = &[
    // Runs.
    Trouble {
        name: "ConnectionNotFound",
        places: &[Run],
        sign: codes(&["ConnectionNotFound", "ConnectionNotFoundError", "OpenURLNotFoundError"]),
        meaning: "the workspace has no connection of this name, or the identity may not see it",
        remedy: "create it, or name another one in `connectionOverrides`; the role is AzureML Data Scientist on the \
                 workspace",
        command: CONNECTIONS,
        says: "ConnectionNotFound: Connection 'azure-openai-prod' is not found in the workspace.",
        ..ROW
    },
    Trouble {
        name: "ConnectionForbidden",
        places: &[Run],
        sign: codes(&["OpenURLUserAuthenticationError"]),
        meaning: "the identity may not read the secrets of connections",
        remedy: "grant it the role Azure Machine Learning Workspace Connection Secrets Reader on the workspace",
        command: ROLES,
        says: "OpenURLUserAuthenticationError: Access denied to list workspace secret.",
        ..ROW
    },
    Trouble {
        name: "InvalidConnectionOverride",
        places: &[Run],
        sign: codes(&["InvalidConnectionOverride"]),
        blame: Content,
        who: Author,
        meaning: "`connectionOverrides` names what the flow does not have",
        remedy: "compare it with the connections of the flow's nodes",
        command: "pf flow validate --source FLOW",
        says: "InvalidConnectionOverride: Connection input 'connection' is not found in node 'draft'.",
    },
    Trouble {
        name: "ApplyInputMappingError",
        places: &[Run],
        sign: codes(&["ApplyInputMappingError", "InvalidColumnMapping"]),
        blame: Content,
        who: Author,
        meaning: "a row lacks what `columnMapping` takes an input from",
        remedy: "{columns}",
        command: "az storage blob download --account-name ACCOUNT --container-name CONTAINER --name DATASET --auth-mode \
                  login | head -1",
        says: "ApplyInputMappingError: Couldn't find these mapping relations: ${data.gold_answer}.",
    },
    Trouble {
        name: "NoCompleteLine",
        places: &[Run],
        sign: texts(&["could not find one complete line"]),
        meaning: "no row was answered, so there was nothing to judge",
        remedy: "look at the lines of the run before",
        command: "pfazure run show-details --name RUN",
        says: "InputMappingError: Could not find one complete line on the provided input.",
        ..ROW
    },
    Trouble {
        name: "EmptyInputsData",
        places: &[Run],
        sign: codes(&["EmptyInputsData", "InputMappingError"]),
        blame: Content,
        who: Author,
        meaning: "the data set has no rows, or not as many as the run that is judged",
        remedy: "ship an archive whose data set has every row",
        command: "wc -l DATASET",
        says: "EmptyInputsData: Couldn't find any inputs data at the given input paths.",
    },
    Trouble {
        name: "AutomaticRuntimeFailed",
        places: &[Run],
        sign: codes(&["AutomaticRuntimeFailed"]),
        meaning: "no compute session could be started",
        remedy: "read promptflow-automatic.log of the run; look at the workspace's quota, and at the flow's \
                 requirements.txt",
        command: "pfazure run stream --name RUN",
        says: "AutomaticRuntimeFailed: Failed to submit bulk run due to Automatic runtime provision failed.",
        ..ROW
    },
    // Lines.
    Trouble {
        name: "ContentSafetyTooManyRequests",
        places: &[Line],
        sign: texts(&["contentsafetytoomanyrequests"]),
        meaning: "the content safety service takes fewer requests than the run sends",
        remedy: "let the node retry with growing pauses, or take a larger SKU",
        command: "az cognitiveservices account show --name ACCOUNT --resource-group GROUP --query sku",
        says: "Execution failure in 'safety_check': (HttpResponseError) 429 ContentSafetyTooManyRequests",
        ..ROW
    },
    Trouble {
        name: "LineThrottled",
        places: &[Line],
        sign: texts(&["429", "toomanyrequests", "too many requests", "ratelimit", "rate limit"]),
        meaning: "a service behind the flow takes fewer requests than the run sends",
        remedy: "let the node retry with growing pauses, or raise the limit of its model or service",
        command: "az cognitiveservices account deployment list --name ACCOUNT --resource-group GROUP",
        says: "Execution failure in 'draft_answer': (RateLimitError) Error code: 429",
        ..ROW
    },
    Trouble {
        name: "LineFailed",
        places: &[Line],
        sign: ANY,
        meaning: "the flow itself fails on such a row",
        remedy: "run it there on your machine, with pf flow test",
        command: "pfazure run show-details --name RUN",
        says: "Execution failure in 'draft_answer': (KeyError) 'citations'",
        ..ROW
    },
];
